"""Going on with an answer whose beginning the user has seen already, with the same model or another.

What was seen is told to the next model, as the beginning of its own answer where it
takes that; what it says again is left out.
"""

from dataclasses import replace

from tiermesh_executor.models.request import Message, Prompt, TextPart

_GO_ON = "The user has already seen the beginning of your answer. Go on exactly from its end and repeat nothing."
_SHORTEST_OVERLAP = 12


def answer_so_far(shown: str) -> TextPart:
    """In words, for every model."""
    return TextPart(f"{_GO_ON}\n<answer_so_far>\n{shown}\n</answer_so_far>")


def continued(prompt: Prompt, shown: str, *, prefill: bool) -> Prompt:
    """The prompt for the rest of the answer. `prefill`: the model takes the beginning as its own last message."""
    if not shown.strip():
        return prompt
    messages = list(prompt.messages)
    if prefill:
        # A message of the assistant's may not end with white space.
        return replace(prompt, messages=[*messages, Message("assistant", [TextPart(shown.rstrip())])])
    last = messages[-1]
    return replace(prompt, messages=[*messages[:-1], Message(last.role, [*last.parts, answer_so_far(shown)])])


class Seam:
    """Joins the rest to what was shown: leaves out what is said twice, and keeps words apart."""

    def __init__(self, shown: str) -> None:
        """`shown` as the user saw it."""
        self._shown = shown
        whole = shown.strip()
        last_sentence = whole[max(whole.rfind(end, 0, -1) for end in (". ", "! ", "? ", "\n")) + 1 :].strip()
        self._repeats = [whole, last_sentence] if len(last_sentence) >= _SHORTEST_OVERLAP else [whole]
        self._held = ""
        self._joined = not whole

    def feed(self, text: str) -> str:
        """What of `text`, and of what was held before it, may go on."""
        if self._joined:
            return text
        self._held += text
        said = self._held.lstrip()
        if not said or any(repeat.startswith(said) and repeat != said for repeat in self._repeats):
            return ""
        return self._join(said)

    def end(self) -> str:
        """What is still held when the model stops."""
        said = self._held.lstrip()
        return "" if self._joined or not said else self._join(said)

    def _join(self, said: str) -> str:
        self._joined = True
        for repeat in self._repeats:
            if said.startswith(repeat):
                said = said[len(repeat) :]
                return said.lstrip() if self._shown[-1].isspace() else said
        if self._shown[-1].isspace():
            return said
        spaced = self._held[: len(self._held) - len(self._held.lstrip())]
        ends = self._shown[-1] in ".!?…:;,"
        return f"{spaced or (' ' if ends else '')}{said}"
