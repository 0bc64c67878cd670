"""Who wrote what in the user's role."""

import pytest

from sidecar.references.authorship import CLIENT_TAGS, TYPED_TAGS, client_spans, environments, result_spans

CLIENTS_WHOLLY = {
    "cline result": "[read_file for 'a.py'] Result:\nimport os",
    "cline error": "The tool execution failed with the following error:\n<error>\nno\n</error>",
    "cline resumption": "[TASK RESUMPTION] This task was interrupted.",
    "cline act mode": "[The user has switched to ACT MODE, so you may now proceed with the task.]",
    "cline environment": "<environment_details>\n# VSCode Open Tabs\na.py\n</environment_details>",
    "openhands": "EXECUTION RESULT of [terminal]:\nhello",
    "swe-agent observation": "OBSERVATION:\nhello",
    "swe-agent window": "1:x\n(Open file: /a.py)\n(Current directory: /)\nbash-$",
    "mini-swe-agent": "<returncode>0</returncode>\n<output>\nhello\n</output>",
    "aider files": "I have *added these files to the chat* so you can go ahead and edit them.",
    "aider read-only files": "Here are some READ ONLY files, provided for your reference.",
    "claude code agents": "<task-notification>\n<task-id>a1</task-id>\n</task-notification>",
    "claude code reminder": "<system-reminder>\nKeep going.\n</system-reminder>",
}
WORDS = "please fix\nthe tests"


def parts(text: str, *, behind_header: bool = False) -> list[str]:
    return [text[span.start : span.end] for span in client_spans(text, behind_header=behind_header)]


@pytest.mark.parametrize("text", CLIENTS_WHOLLY.values(), ids=CLIENTS_WHOLLY)
def test_what_a_client_writes_as_a_whole_is_nobodys_words(text: str) -> None:
    assert parts(text) == [text]


@pytest.mark.parametrize("text", [WORDS, "```\nimport os\n```", "see <main> and `a/b.py`", "```python\nx = 1\n```", ""])
def test_what_nobody_marked_was_typed(text: str) -> None:
    assert parts(text) == []


@pytest.mark.parametrize("tag", TYPED_TAGS)
def test_words_in_their_own_tag_are_typed(tag: str) -> None:
    assert all(WORDS not in part for part in parts(f"<{tag}>\n{WORDS}\n</{tag}>"))


@pytest.mark.parametrize("tag", CLIENT_TAGS)
def test_what_a_client_attached_to_words_is_its_own(tag: str) -> None:
    attached = f'<{tag} a="b">\nx\ny\n</{tag}>'
    assert parts(f"{WORDS}\n{attached}\n{WORDS}") == [attached]


@pytest.mark.parametrize(
    "fence", ["```src/a.py", "```py src/a.py (3-9)", "```path=src/a.py, lines=1-9", "````ts /home/me/a.ts"]
)
def test_a_fence_that_names_a_file_was_attached(fence: str) -> None:
    ticks = fence[: fence.rindex("`") + 1]
    attached = f"{fence}\nimport os\n{ticks}"
    assert parts(f"{attached}\n{WORDS}") == [attached]


def test_a_client_that_wraps_the_words_wrote_all_around_them() -> None:
    text = f"<user_info>\nLinux\n</user_info>\n<user_query>\n{WORDS}\n</user_query>"
    assert parts(text) == ["<user_info>\nLinux\n</user_info>\n"]


def test_codex_puts_the_words_behind_its_own() -> None:
    text = f"# Context from my IDE setup:\n\n## Open tabs:\n- a.py\n\n## My request for Codex:\n{WORDS}"
    assert parts(text) == ["# Context from my IDE setup:\n\n## Open tabs:\n- a.py\n"]


def test_what_follows_a_results_header_in_the_same_message_is_the_result() -> None:
    assert parts("import os\nimport sys", behind_header=True) == ["import os\nimport sys"]
    assert WORDS not in "".join(parts(f"<feedback>\n{WORDS}\n</feedback>", behind_header=True))


def test_words_inside_a_tools_result_stay_a_persons() -> None:
    text = f"Done.\n<feedback>\n{WORDS}\n</feedback>\nmore"
    assert [text[span.start : span.end] for span in result_spans(text)] == ["Done.\n", "\nmore"]


def test_a_file_that_holds_a_tag_is_still_a_file() -> None:
    text = "<task>\nnot a person's\n</task>"
    assert [text[span.start : span.end] for span in result_spans(text)] == [text]


def test_tags_that_never_close_are_followed_once() -> None:
    assert client_spans("<context>\n" * 20_000, behind_header=False) == []


def test_environments_are_found_among_other_texts() -> None:
    text = "a\n<environment_details>\nb\n</environment_details>\nc"
    (span,) = environments(text)
    assert text[span.start : span.end].startswith("<environment_details>")
