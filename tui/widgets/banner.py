"""One loud line, where there is something that must not be overlooked."""

from __future__ import annotations

from textual.widgets import Static


class Banner(Static):
    DEFAULT_CSS = """
    Banner {
        display: none;
        height: auto;
        max-height: 4;
        padding: 0 1;
        background: $warning;
        color: $background;
        text-style: bold;
    }
    Banner.-shown { display: block; }
    Banner.-bad { background: $error; }
    """

    def __init__(self) -> None:
        super().__init__("", markup=False)

    def say(self, text: str, *, bad: bool = False) -> None:
        """Nothing where the text is empty."""
        if text == str(self.content):
            return
        self.set_class(bool(text), "-shown")
        self.set_class(bad, "-bad")
        self.update(text)
