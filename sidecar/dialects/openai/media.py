"""Images and files: OpenAI's data URLs and links, as Claude's `image` and `document` sources.

Whatever Claude cannot read is a 400 that says what it can: an image that vanished silently is worse than an error.
"""

from __future__ import annotations

import base64
import binascii
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from sidecar.dialects.openai.notes import Notes
from sidecar.errors import GatewayError, invalid_request
from sidecar.exchange import Json

IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
PDF = "application/pdf"
TEXT_TYPES = frozenset({
    "application/javascript", "application/json", "application/sql", "application/toml", "application/typescript",
    "application/x-javascript", "application/x-ndjson", "application/x-sh", "application/x-yaml", "application/xml",
    "application/yaml",
})  # fmt: skip
"""Text in all but name; `text/*` always is."""

_SPELLINGS = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "application/x-pdf": PDF,
}
_BASE64_BEGINNINGS = {
    "/9j/": "image/jpeg",
    "iVBORw0KGgo": "image/png",
    "R0lGOD": "image/gif",
    "UklGR": "image/webp",
    "JVBERi": PDF,
}
"""How each format's magic number looks in base64."""


class DataUrl(NamedTuple):
    """RFC 2397, cut into its parts; `media_type` in lower case and in its registered spelling."""

    media_type: str
    is_base64: bool
    payload: str


def image_block(url: str, path: str, notes: Notes) -> Json:
    """An `image` block for a data URL or an https link."""
    if url[:5].lower() == "data:":
        return _inline(_split(url, path), path, notes, allowed=IMAGE_TYPES)
    if url[:8].lower() == "https://":
        return {"type": "image", "source": {"type": "url", "url": url}}
    raise invalid_request(
        f"{path}: Claude fetches images over https only, or takes them inline as a data: URL; got {url[:40]!r}.",
        param=path,
    )


def file_block(content: str, filename: str | None, path: str, notes: Notes) -> Json:
    """A `document` block (or an image) for the `file_data` of a file part: a data URL, or bare base64 of a PDF."""
    if content[:5].lower() == "data:":
        parts = _split(content, path)
    else:
        parts = DataUrl(_sniffed(content) or "application/octet-stream", True, content)
    if parts.media_type.startswith("text/") or parts.media_type in TEXT_TYPES:
        source = {"type": "text", "media_type": "text/plain", "data": _as_text(parts, path)}
        block: Json = {"type": "document", "source": source}
    else:
        block = _inline(parts, path, notes, allowed=IMAGE_TYPES | {PDF})
    if filename and block["type"] == "document":
        block["title"] = filename
    return block


def linked_document(url: str, filename: str | None, path: str) -> Json:
    """A `document` block for an https link to a PDF."""
    if url[:8].lower() != "https://":
        raise invalid_request(f"{path}: Claude fetches files over https only; got {url[:40]!r}.", param=path)
    block: Json = {"type": "document", "source": {"type": "url", "url": url}}
    return block | {"title": filename} if filename else block


def _inline(parts: DataUrl, path: str, notes: Notes, *, allowed: frozenset[str]) -> Json:
    media_type = parts.media_type
    if not parts.is_base64 or not parts.payload:
        raise _refusal(path, "it holds no base64 content")
    seen = _sniffed(parts.payload)
    if seen is not None and seen != media_type:
        # Claude refuses a picture whose bytes disagree with its label, and editors do mislabel them.
        notes.add(path, "mapped", f"labelled {media_type}, is {seen}")
        media_type = seen
    if media_type not in allowed:
        raise _refusal(path, f"it is {media_type or 'of no stated type'}")
    block_type = "document" if media_type == PDF else "image"
    return {"type": block_type, "source": {"type": "base64", "media_type": media_type, "data": parts.payload}}


def _refusal(path: str, fault: str) -> GatewayError:
    return invalid_request(
        f"{path}: Claude cannot read this: {fault}. It takes JPEG, PNG, GIF and WebP images, PDF and plain text.",
        param=path,
    )


def _split(url: str, path: str) -> DataUrl:
    head, comma, payload = url[5:].partition(",")
    if not comma:
        raise _refusal(path, "the data: URL has no comma and so no content")
    media_type, *parameters = [part.strip().lower() for part in head.split(";")]
    return DataUrl(_SPELLINGS.get(media_type, media_type), "base64" in parameters, payload)


def _sniffed(payload: str) -> str | None:
    return next((kind for beginning, kind in _BASE64_BEGINNINGS.items() if payload.startswith(beginning)), None)


def _as_text(parts: DataUrl, path: str) -> str:
    try:
        raw = base64.b64decode(parts.payload) if parts.is_base64 else unquote_to_bytes(parts.payload)
        decoded = raw.decode()
    except (binascii.Error, ValueError) as fault:
        raise _refusal(path, f"it is labelled as text but is not UTF-8 ({fault})") from None
    if not decoded or decoded.isspace():
        raise _refusal(path, "the file is empty")
    return decoded
