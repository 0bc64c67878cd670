"""Signed thinking: proof that a block came from this Claude, from which model, and after which conversation.

A signature is base64 of a fixed record and an HMAC over it and the visible text. The record holds the token count of
the thinking (the visible text may be empty), the model, a digest of everything before the block, the response it
belongs to and its place there. Anthropic's own format is opaque; only its behaviour is imitated.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct
from typing import NamedTuple

KEY = b"simulated thinking"
"""Fixed, so that a conversation survives a restart of the simulator."""

_RECORD = struct.Struct(">4sIH8s16s12s")
_MARK = b"sim1"
_MAC_BYTES = 24


class Provenance(NamedTuple):
    """What a signature says about its block."""

    tokens: int
    place: int
    """Which thinking block of its response, from 0."""
    model: bytes
    prefix: bytes
    """Digest of tools, system text and every earlier block that is not thinking."""
    response: bytes


def model_mark(model_id: str) -> bytes:
    return hashlib.sha256(model_id.encode()).digest()[:8]


def response_mark(message_id: str) -> bytes:
    return hashlib.sha256(message_id.encode()).digest()[:12]


def sign(text: str, provenance: Provenance) -> str:
    record = _RECORD.pack(_MARK, *provenance)
    return base64.b64encode(record + _mac(record, text)).decode()


def read(signature: str) -> Provenance | None:
    """The record of a signature, unverified. None when it is not one of ours."""
    try:
        raw = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(raw) != _RECORD.size + _MAC_BYTES or not raw.startswith(_MARK):
        return None
    _, *fields = _RECORD.unpack_from(raw)
    return Provenance(*fields)


def verify(text: str, signature: str) -> Provenance | None:
    """The record of a signature that is ours and belongs to exactly this text, else None."""
    provenance = read(signature)
    if provenance is None:
        return None
    raw = base64.b64decode(signature)
    record, mac = raw[: _RECORD.size], raw[_RECORD.size :]
    return provenance if hmac.compare_digest(mac, _mac(record, text)) else None


def thinking_tokens_of(signature: str) -> int | None:
    """Tokens of the thinking behind a signature; None when the signature is not ours."""
    provenance = read(signature)
    return None if provenance is None else provenance.tokens


def _mac(record: bytes, text: str) -> bytes:
    message = record + text.encode("utf-8", "surrogatepass")
    return hmac.new(KEY, message, hashlib.sha256).digest()[:_MAC_BYTES]
