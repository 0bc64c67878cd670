"""What the house hands to a built-in layer. A layer asks for nothing else, and nothing is global."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidecar.config import Settings

if TYPE_CHECKING:
    from sidecar.accounts.prices import Prices
    from sidecar.fallback import Fallbacks
    from sidecar.file_cache import FileCache
    from sidecar.home import Home
    from sidecar.keep_warm import Asks
    from sidecar.memory import ConversationMemory
    from sidecar.models.catalogue import Catalogue
    from sidecar.pace_shelf import PaceShelf
    from sidecar.replies.replies import Replies
    from sidecar.store.shelves import Shelves


@dataclass(frozen=True, slots=True)
class Services:
    settings: Settings
    home: Home
    catalogue: Catalogue
    prices: Prices
    memory: ConversationMemory
    files: FileCache
    shelves: Shelves
    """What outlives the process: `shelves("cuts", size_limit_bytes)` has `get` (blocks) and `put` (does not)."""
    pace: PaceShelf
    """How clients pause and go on."""
    replies: Replies
    """Claude's answers, for requests that come again."""
    api_version: Callable[[], Awaitable[str]]
    """The `anthropic-version` of requests that name none."""
    fallbacks: Fallbacks
    """Which models may answer in place of one that does not."""
    own_requests: Asks | None = None
    """How a layer asks Claude by itself, on its own account."""
