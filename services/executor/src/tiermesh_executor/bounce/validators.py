"""The validators that stand between tier 1's prose and its commit point.

A sentence that fails one hands the turn over; the user sees nothing of it. Figures have
a guard of their own (`figures`).
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tiermesh_executor.bounce.calibration import Stated
from tiermesh_executor.bounce.language import language_of
from tiermesh_executor.bounce.names import Known, ungrounded_names
from tiermesh_executor.failures import HandOverError

_CANNOT = re.compile(
    r"\b(?:I|we)(?:['’]m| am| are|['’]re)?\s+(?:sorry,?\s+(?:but\s+)?(?:I\s+)?)?(?:currently\s+|unfortunately\s+)?"
    r"(?:can ?not|can['’]t|could ?n['’]t|could not|unable to|not able to|do not have|don['’]t have|"
    r"do not know|don['’]t know|have no (?:access|information|data|way)|was ?n['’]t able)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a model must say of its own confidence: the number itself, or what the number has been worth."""

    stated: float | None = None
    right: float | None = None


class Validators:
    """Of one answer of tier 1."""

    def __init__(
        self,
        question: str,
        *,
        limits: Limits,
        evidence: Callable[[], Iterable[str]],
        unknown_names: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        """`evidence` is what the answer may rest on; empty as long as nothing was looked up.

        `unknown_names` are those that the tools have said nobody has.
        """
        self._language = language_of(question)
        self._limits = limits
        self._evidence = evidence
        self._unknown_names = unknown_names

    def check_confidence(self, said: Stated | None) -> None:
        """Raises HandOverError when less was stated than is asked for, or it stands for less."""
        if said is None:
            return
        least = self._limits.stated
        if least is not None and said.stated < least:
            raise HandOverError("low_confidence", f"the model was {said.stated:.2f} sure, and {least:.2f} is asked for")
        least, right = self._limits.right, said.stated if said.calibrated is None else said.calibrated
        if least is not None and right < least:
            worth = "which nobody has measured" if said.calibrated is None else f"which has been worth {right:.2f}"
            detail = f"the model was {said.stated:.2f} sure, {worth}, and {least:.2f} is asked for"
            raise HandOverError("low_confidence", detail)

    def check_first(self, sentence: str) -> None:
        """The answer's first sentence says whether it is one. Raises HandOverError.

        That somebody whom nobody has heard of cannot be found is an answer: the next tier has the same records.
        """
        said = sentence.casefold()
        if any(name.casefold() in said for name in self._unknown_names()):
            return
        if _CANNOT.search(sentence):
            raise HandOverError("cannot", "the model said that it cannot answer")

    def check(self, text: str) -> None:
        """Everything before the commit point. Raises HandOverError."""
        language = language_of(text)
        if self._language and language and language != self._language:
            raise HandOverError("wrong_language", f"the question is in {self._language}, the answer in {language}")
        evidence = list(self._evidence())
        if evidence and (names := ungrounded_names(text, Known(evidence))):
            raise HandOverError("ungrounded", f"{len(names)} names do not come from the data")
