"""What a question says that arguments are made of: names, groups, the period, a limit."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final

from tiermesh_simulator.rules.choice import asks_what_if, asks_write
from tiermesh_simulator.rules.dates import Period, find_period
from tiermesh_simulator.rules.dialogue import Dialogue
from tiermesh_simulator.rules.entities import amount_in, groups_in, leaders_in, limit_in, people_in
from tiermesh_simulator.rules.lexicon import words

# Without a period, these look ahead from today.
_AHEAD: Final = re.compile(r"\b(?:next|upcoming|coming)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Clues:
    """What the question says that arguments are made of."""

    question: str
    words: Sequence[str]
    people: Sequence[str]
    groups: Sequence[str]
    period: Period | None
    today: date
    limit: int | None
    # The prompt says that ends of periods are exclusive.
    exclusive: bool = False
    # The question looks ahead from today, as in "the next holiday".
    ahead: bool = False
    root: Mapping[str, Any] = field(default_factory=dict)


def clues_of(dialogue: Dialogue, question: str | None = None, person: str | None = None) -> Clues:
    """Collect the clues; what the question itself says wins over what it follows."""
    asked = question if question is not None else dialogue.question
    context = dialogue.context if question is None else asked
    period = find_period(asked, dialogue.today) or find_period(context, dialogue.today)
    if period is not None and asks_write(asked):
        period = _lengthened(period, amount_in(asked, "day"))
    people = [person] if person is not None else people_in(asked) or people_in(context)
    leaders = leaders_in(context)
    return Clues(
        question=context,
        words=words(context),
        people=[name for name in people if name not in leaders],
        groups=groups_in(asked) or groups_in(context),
        period=period,
        today=dialogue.today,
        limit=limit_in(asked) or limit_in(context),
        exclusive="exclusive" in f"{dialogue.system}{dialogue.whole_text}".lower(),
        ahead=period is None and bool(_AHEAD.search(asked)) and not asks_what_if(asked),
    )


def _lengthened(period: Period, days: float | None) -> Period:
    """Return "three days off from Monday" as Monday to Wednesday; weekends are left out."""
    if period.start != period.end or days is None or days <= 1:
        return period
    end, left = period.start, int(days) - 1
    while left:
        end += timedelta(days=1)
        left -= end.weekday() < 5
    return Period(period.start, end, period.words)
