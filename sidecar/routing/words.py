"""What the user wrote, without what editors and agents write in the user's place."""

from __future__ import annotations

import re
from typing import Final

LONGEST_BLOCK: Final = 200_000
"""Characters of one block in which lines are counted."""

ENVELOPE: Final = re.compile(
    r"<(system-reminder|user_info|environment_details|environment_context|attachments|attached_files|additional_data|"
    r"editorContext|reminderInstructions|repoStructure|workspace_info|environment_info|context|open_and_recently_viewed_files|uploaded_files|ide_opened_file|ide_selection|"
    r"local-command-stdout|command-message|command-name|important_rules|rules|files|symbols|selections)\b[^<>]*>"
)
"""Begins what editors put around the user's words; its closing tag ends it."""
TAGS: Final = re.compile(
    r"</?(?:task|user_query|userRequest|issue_description|user_message|user_input|feedback|prompt)(?: [^>]{0,80})?>"
)
CODEX_REQUEST: Final = "## My request for Codex:"
FILES_OF_AIDER: Final = (
    "I have *added these files to the chat*",
    "Here are some READ ONLY files",
    "Here are summaries",
)
REMINDER_OF_AIDER: Final = "\n\n# *"
"""Begins the rules of its edit format, which it writes behind the user's words."""
CODE: Final = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
RESULT_AS_TEXT: Final = re.compile(
    r"^\s*(?:\[[\w-]+(?: for [^\]]{0,400})?\] Result:|Observation:|OBSERVATION:|EXECUTION RESULT)"
)
"""How clients without tool calls give the results of their tools."""


def own_words(text: str) -> str:
    """A user's text without what an editor wrote around it."""
    if len(text) > LONGEST_BLOCK:
        text = text[:LONGEST_BLOCK]
    if CODEX_REQUEST in text:
        text = text.partition(CODEX_REQUEST)[2]
    if text.startswith(FILES_OF_AIDER):
        return ""
    text = text.partition(REMINDER_OF_AIDER)[0]
    if "<" in text:
        text = TAGS.sub("", _without_envelopes(text))
    return text.strip()


def without_code(text: str) -> str:
    return CODE.sub("", text) if "```" in text else text


def _without_envelopes(text: str) -> str:
    """In one pass: an envelope that nothing closes is looked for once, however often it is opened."""
    kept: list[str] = []
    end, open_ended = 0, set[str]()
    for opening in ENVELOPE.finditer(text):
        closing = f"</{opening[1]}>"
        if opening.start() < end or closing in open_ended:
            continue
        found = text.find(closing, opening.end())
        if found < 0:
            open_ended.add(closing)
            continue
        kept.append(text[end : opening.start()])
        end = found + len(closing)
    return "".join(kept) + text[end:]
