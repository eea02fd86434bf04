"""The trap's second lock: no loop of look-ups over entities, however it is worded.

Counts, per tool, the different entities that an execution has looked up or is about to.
"""

import json
from collections.abc import Iterable, Mapping

from tiermesh_executor.failures import HandOverError
from tiermesh_executor.tools.catalogue import Tool, ToolKind

DEFAULT_LIMIT = 3
# Of a tool that does not say what it touches, the careful reading: a look-up.
_LOOK_UPS = (ToolKind.ENTITY_LOOKUP, ToolKind.OTHER)


class FanOutGuard:
    """One per execution."""

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        """`limit` look-ups of one tool over different entities are fine; one more is a loop."""
        self._limit = limit
        self._entities: dict[str, set[str]] = {}

    def admit(self, calls: Iterable[tuple[Tool, Mapping[str, object]]]) -> None:
        """Takes note of the calls that a model plans in one turn.

        Raises HandOverError before any of them runs when they make a loop: towards one aggregate call
        where the data's own bulk tools cover it, else to the next tier.
        """
        planned: dict[str, Tool] = {}
        for tool, arguments in calls:
            if tool.kind in _LOOK_UPS:
                planned[tool.name] = tool
                self._entities.setdefault(tool.name, set()).update(_entities(tool, arguments))
        for tool in planned.values():
            known = self._entities[tool.name]
            if len(known) > self._limit:
                covered = bool(tool.domain or tool.bulk_alternative)
                instead = "one aggregate call answers that" if covered else "no aggregate call covers it"
                raise HandOverError(
                    "fan_out",
                    f"{tool.name} would be called for {len(known)} different entities; {instead}",
                    "aggregate" if covered else "next_tier",
                )


def _entities(tool: Tool, arguments: Mapping[str, object]) -> list[str]:
    """Different arguments are different entities when the tool does not name the one that counts."""
    value = arguments.get(tool.entity_argument) if tool.entity_argument else dict(arguments)
    several = value if isinstance(value, list) else [value]
    return [json.dumps(entity, sort_keys=True, default=str).casefold() for entity in several]
