"""Files that tools send again and again, and what references to them saved."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from tui.shapes import FILES
from tui.text import ago, tokens
from tui.widgets.table_view import TableColumn, TableView, column

Json = Mapping[str, Any]


def _name(line: Json) -> str:
    return str(line["path"] or f"({line['digest'][:12]})")


class Files(TableView):
    HINT = "Files and long texts that were sent more than once: most tokens first."
    NAME = "files"
    NOTHING = "No file was sent twice so far. A file that was changed is another one."
    COLUMNS = (
        TableColumn("File", _name, ("path", "digest")),
        column("Tokens", "tokens", tokens, right=True),
        column("Times", "times", "{:,}".format, right=True),
        column("Resent", "resent_tokens", tokens, right=True),
        column("Saved", "saved_tokens", tokens, "success", right=True),
        column("Last", "last_seen", lambda moment: ago(time.time() - moment), "dim", right=True, wide=True),
    )

    async def fetch(self) -> Sequence[Json]:
        found: Sequence[Json] = (await self.dashboard.client.get("files?limit=500", FILES))["files"]
        return found

    def key_of(self, line: Json) -> str:
        return f"{line['project']} {line['digest']}"
