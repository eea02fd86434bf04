"""A sentence whose figures do not hold is written again once, from the rows. Whether it then holds is checked again."""

from collections.abc import Callable
from contextlib import aclosing

from tiermesh_executor.failures import ExecutionError
from tiermesh_executor.models.calls import CallScope, ModelCalls
from tiermesh_executor.models.events import Restarted, Resumed, Stop, StopReason, TextDelta
from tiermesh_executor.models.request import Prompt
from tiermesh_executor.prompts import SYSTEM_TEXTS, rewrite
from tiermesh_executor.tables import Table

TAG = "rewrite"
# Of one answer. More would hold up what comes after, and such an answer is better told by its rows.
MOST_REWRITES = 2


class Rewriter:
    """Of one answer."""

    def __init__(self, models: ModelCalls, scope: CallScope, table: Callable[[], Table]) -> None:
        """`table` is the last one that was shown."""
        self._models = models
        self._scope = scope
        self._table = table
        self._left = MOST_REWRITES if models.known(TAG) else 0

    async def __call__(self, sentence: str) -> str:
        """The sentence as it may be said, unverified; empty when there is none."""
        if self._left <= 0:
            return ""
        self._left -= 1
        system = SYSTEM_TEXTS.get(self._models.row(TAG).prompt_version, rewrite.VERSIONS["rewrite-1"])
        said: list[str] = []
        stream = self._models.stream(TAG, Prompt(system, rewrite.messages(self._table(), sentence)), self._scope)
        try:
            async with aclosing(stream) as events:
                async for event in events:
                    match event:
                        case TextDelta(text):
                            said.append(text)
                        case Restarted() | Resumed():
                            said.clear()
                        case Stop(reason) if reason is not StopReason.COMPLETE:
                            return ""
                        case _:
                            pass
        except ExecutionError:
            # The rows stand in for it.
            return ""
        return "".join(said).strip()
