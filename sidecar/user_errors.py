"""What the user can put right."""

from __future__ import annotations


class UserError(Exception):
    """A command that cannot go on; the message is one clear sentence with the next step, and all that is shown."""

    exit_code = 1
