"""What images and PDF pages count, by the documented rules, from the bytes alone.

An image costs one token for every patch of 28 x 28 pixels, `ceil(width / 28) * ceil(height / 28)`, after it was scaled
down to its model's limits (docs: images and vision). A PDF page costs its text and an image of it (docs: PDF support).
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

PATCH = 28
"""Pixels on each side of what one token sees."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a generation of models sees of an image."""

    long_edge: int
    """Pixels."""
    tokens: int


STANDARD = Resolution(1568, 1568)
"""Models before 4.7."""
HIGH = Resolution(2576, 4784)
"""From 4.7 on."""

UNKNOWN_IMAGE_TOKENS = STANDARD.tokens
"""For an image that only its address is known of: a screenshot's."""
PAGE_TOKENS = 2_250 + STANDARD.tokens
"""A PDF page: the middle of the documented 1,500 to 3,000 tokens of text, and its image."""
BYTES_A_PAGE = 50_000
"""Of a PDF whose page tree is compressed away."""

_HEADER_BASE64 = 128 * 1024
"""How much of an image is looked at: a JPEG's size stands behind its previews and colour profiles. A multiple of 4."""
_PAGE = re.compile(rb"/Type\s*/Page(?![A-Za-z])")
_PAGE_COUNT = re.compile(rb"/Count\s+(\d{1,5})(?!\d)")


def image_tokens(data: str, resolution: Resolution) -> int:
    """Tokens of a base64 image; of one whose size cannot be read, those of a screenshot."""
    size = image_size(_decoded(data[:_HEADER_BASE64]))
    if size is None:
        return UNKNOWN_IMAGE_TOKENS
    scale = min(1.0, resolution.long_edge / max(size))
    across, down = (max(1, -(-round(side * scale) // PATCH)) for side in size)
    return min(resolution.tokens, across * down)


def pdf_tokens(data: str) -> int:
    """Tokens of a base64 PDF."""
    content = _decoded(data)
    counted = max((int(count) for count in _PAGE_COUNT.findall(content)), default=0)
    pages = len(_PAGE.findall(content)) or counted or -(-len(content) // BYTES_A_PAGE)
    return pages * PAGE_TOKENS


def image_size(head: bytes) -> tuple[int, int] | None:
    """Width and height in pixels from an image's first bytes: PNG, GIF, WebP or JPEG."""
    for signature, read in _FORMATS:
        if head.startswith(signature):
            try:
                width, height = read(head)
            except (struct.error, ValueError):
                return None
            return (width, height) if width > 0 and height > 0 else None
    return None


def _png(head: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from(">II", head, 16)
    return width, height


def _gif(head: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from("<HH", head, 6)
    return width, height


def _webp(head: bytes) -> tuple[int, int]:
    match head[12:16]:
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", head, 26)
            return width & 0x3FFF, height & 0x3FFF
        case b"VP8L":
            (bits,) = struct.unpack_from("<I", head, 21)
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            size = struct.unpack_from("<BHBH", head, 24)
            return size[0] + (size[1] << 8) + 1, size[2] + (size[3] << 8) + 1
        case _:
            raise ValueError("no picture in this RIFF file")


def _jpeg(head: bytes) -> tuple[int, int]:
    position = 2
    while True:
        marker, length = struct.unpack_from(">HH", head, position)
        if 0xFFC0 <= marker <= 0xFFCF and marker not in _NOT_A_FRAME:
            height, width = struct.unpack_from(">HH", head, position + 5)
            return width, height
        if marker < 0xFFC0:
            raise ValueError("lost between the segments")
        position += 2 + length


_NOT_A_FRAME = frozenset({0xFFC4, 0xFFC8, 0xFFCC})
"""JPEG markers among the frame headers that are none: Huffman tables, extensions, arithmetic coding."""

_FORMATS: tuple[tuple[bytes, Callable[[bytes], tuple[int, int]]], ...] = (
    (b"\x89PNG\r\n\x1a\n", _png),
    (b"GIF8", _gif),
    (b"RIFF", _webp),
    (b"\xff\xd8", _jpeg),
)


def _decoded(data: str) -> bytes:
    """The bytes, or none: what is not base64 is for the API to refuse."""
    try:
        return base64.b64decode(data[: len(data) // 4 * 4], validate=False)
    except (binascii.Error, ValueError):
        return b""
