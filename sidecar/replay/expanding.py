"""Undoes what the layers did to a request, from the request alone."""

from __future__ import annotations

from sidecar.boilerplate import repeats
from sidecar.exchange import Json
from sidecar.references.expand import expand as expand_references
from sidecar.repair.expanding import expanded as without_amendments


def expand(request: Json) -> Json:
    """The request with all in full that layers told by a reference, a marker or an amendment: the last layer's first,
    since each refers to what the layers before it had sent."""
    return without_amendments(repeats.expand(expand_references(request)))
