"""The confidence that a model states at the beginning of its answer: asked for, read, never shown."""

import re

# Changes with the words that ask: what a model's word is worth belongs to how it was asked.
ASK_VERSION = "confidence-1"
ASK = (
    "Begin your answer with how sure you are that it is right and complete, as a number between 0 and 1 in this form: "
    "<confidence>0.85</confidence>. Be honest: below 0.5 when you had to guess. The user does not see it."
)
_OPEN = "<confidence>"
_STATED = re.compile(r"\s*<confidence>\s*(?P<value>[01](?:\.\d{1,4})?|\.\d{1,4})\s*</confidence>\s*")
_LONGEST = 60


class StatedConfidence:
    """Takes the statement off the beginning of one model call."""

    def __init__(self) -> None:
        """One per call."""
        self._held = ""
        self._done = False
        self.value: float | None = None

    def feed(self, text: str) -> str:
        """What of `text` is the answer."""
        if self._done:
            return text
        self._held += text
        if (match := _STATED.match(self._held)) is not None:
            self.value = min(1.0, float(match["value"]))
            return self._give(self._held[match.end() :])
        begun = self._held.lstrip()
        if _OPEN.startswith(begun[: len(_OPEN)]) and len(begun) < _LONGEST:
            return ""
        return self._give(self._held)

    def end(self) -> str:
        """What is still held at the call's end."""
        return "" if self._done else self._give(self._held)

    def _give(self, text: str) -> str:
        self._held, self._done = "", True
        return text
