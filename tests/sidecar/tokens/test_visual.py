"""Images and pages: sizes read from real headers, tokens by the documented rule."""

import base64
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.tokens.visual import (
    BYTES_A_PAGE,
    HIGH,
    PAGE_TOKENS,
    STANDARD,
    UNKNOWN_IMAGE_TOKENS,
    image_size,
    image_tokens,
    pdf_tokens,
)


def png(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


def jpeg(width: int, height: int, *, preview: int = 0) -> bytes:
    segments = b"\xff\xe0" + struct.pack(">H", 16) + bytes(14)
    segments += b"\xff\xe1" + struct.pack(">H", preview + 2) + bytes(preview)
    segments += b"\xff\xc4" + struct.pack(">H", 4) + bytes(2)
    return b"\xff\xd8" + segments + b"\xff\xc2" + struct.pack(">HBHH", 17, 8, height, width) + bytes(10)


def webp(kind: bytes, body: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 100) + b"WEBP" + kind + struct.pack("<I", len(body)) + body


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


IMAGES = [
    (png(800, 600), (800, 600)),
    (b"GIF89a" + struct.pack("<HH", 640, 480) + bytes(3), (640, 480)),
    (jpeg(1024, 768), (1024, 768)),
    (jpeg(1024, 768, preview=60_000), (1024, 768)),
    (webp(b"VP8 ", bytes(6) + struct.pack("<HH", 320 | 0x4000, 200)), (320, 200)),
    (webp(b"VP8L", b"\x2f" + struct.pack("<I", (319) | (199 << 14))), (320, 200)),
    (webp(b"VP8X", bytes(4) + struct.pack("<BHBH", 319 & 255, 319 >> 8, 199, 0)), (320, 200)),
    (webp(b"ALPH", bytes(20)), None),
    (png(0, 5), None),
    (jpeg(10, 10)[:30], None),
    (b"BM" + bytes(40), None),
    (b"", None),
]


@pytest.mark.parametrize(("head", "size"), IMAGES)
def test_sizes_are_read_from_each_format_the_api_takes(head: bytes, size: tuple[int, int] | None) -> None:
    assert image_size(head) == size


@pytest.mark.parametrize(
    ("size", "high", "standard"),
    [
        ((224, 224), 64, 64),
        ((512, 512), 361, 361),
        ((1024, 576), 777, 777),
        ((1920, 1080), 2691, 1568),
        ((3840, 2160), 4784, 1568),
        ((6000, 30), 92 * 1, 56 * 1),
        ((1, 1), 1, 1),
    ],
)
def test_an_image_costs_a_token_a_patch_after_scaling_down(size: tuple[int, int], high: int, standard: int) -> None:
    data = b64(png(*size))
    assert (image_tokens(data, HIGH), image_tokens(data, STANDARD)) == (high, standard)


@given(st.integers(1, 70_000), st.integers(1, 70_000))
def test_no_image_costs_more_than_its_models_limit_or_less_than_one(width: int, height: int) -> None:
    data = b64(png(width, height))
    assert 1 <= image_tokens(data, STANDARD) <= image_tokens(data, HIGH) <= HIGH.tokens
    assert image_tokens(data, STANDARD) <= STANDARD.tokens


@pytest.mark.parametrize("data", ["", "not base64 \ud800", "AAAA", b64(b"%PDF-1.7")])
def test_what_cannot_be_read_counts_as_a_screenshot(data: str) -> None:
    assert image_tokens(data, HIGH) == UNKNOWN_IMAGE_TOKENS


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(content: bytes) -> None:
    for head in (content, *(image[:12] + content for image, _ in IMAGES)):
        image_size(head)
        assert pdf_tokens(b64(head)) >= 0


@pytest.mark.parametrize(
    ("pdf", "pages"),
    [
        (b"<< /Type /Pages /Count 2 >> << /Type /Page >> << /Type/Page/Parent 1 >>", 2),
        (b"<< /Type /ObjStm >> /Count 7 >>", 7),
        (bytes(BYTES_A_PAGE * 3 - 1), 3),
    ],
)
def test_a_pdfs_pages_are_counted_or_else_guessed_by_its_size(pdf: bytes, pages: int) -> None:
    assert pdf_tokens(b64(pdf)) == pages * PAGE_TOKENS
