"""Performance: review cycles, review forms, goals, feedback. The words used are in `phrases`."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np

from .columns import NO_DAY, Bools, Chunk, Columns, Floats, Ints, dates, gather, numbered, split, texts
from .draws import stream, weighted
from .options import Options
from .people import People
from .phrases import FEEDBACK_KINDS, FEEDBACK_TEXTS, GOAL_TITLES, TEXTS_A_KIND

_FORMS = ("not_started", "in_progress", "submitted", "completed")
_NOT_STARTED, _IN_PROGRESS, _SUBMITTED, _COMPLETED = range(4)
_GOALS = ("not_started", "on_track", "at_risk", "done", "missed")
_WEIGHTS = np.array([[100, 0, 0, 0], [60, 40, 0, 0], [40, 30, 30, 0], [25, 25, 25, 25]])
_PEERS_A_YEAR = 1.6


@dataclass(frozen=True)
class Cycle:
    """Half a year."""

    cycle_id: str
    name: str
    start: int
    end: int


def make_cycles(options: Options) -> list[Cycle]:
    """All half years from the start of the period to the one of `as_of`."""
    found = []
    for year in range(options.start_year, options.as_of.year + 1):
        halves = ((1, date(year, 1, 1), date(year, 6, 30)), (2, date(year, 7, 1), date(year, 12, 31)))
        for half, start, end in halves:
            first, last = (int(np.datetime64(day, "D").astype(np.int64)) for day in (start, end))
            if first <= options.today:
                found.append(Cycle(f"{year}H{half}", f"{year} {('first', 'second')[half - 1]} half", first, last))
    return found


def cycle_table(options: Options, cycles: list[Cycle]) -> Iterator[Chunk]:
    """The table `review_cycles`."""
    columns: Columns = {
        "cycle_id": texts([cycle.cycle_id for cycle in cycles]),
        "name": texts([cycle.name for cycle in cycles]),
        "start_date": dates(np.array([cycle.start for cycle in cycles])),
        "end_date": dates(np.array([cycle.end for cycle in cycles])),
        "status": texts(["closed" if cycle.end < options.today else "open" for cycle in cycles]),
    }
    yield from split("review_cycles", columns)


def _reviewed(options: Options, people: People, cycle: Cycle) -> Ints:
    """Who has a form: everybody but the chief who was here for most of the cycle and until its end."""
    until = min(cycle.end, options.today)
    here = (people.hired <= until) & (people.hired <= cycle.end - 60) & (people.last_day >= until)
    return np.flatnonzero(here & (people.manager >= 0))


def _ability(options: Options, people: People) -> Floats:
    """What a person's ratings vary about."""
    ability: Floats = stream(options.seed, "ability").normal(3.25, 0.55, len(people))
    return ability


def review_table(
    options: Options, people: People, cycles: list[Cycle], progress: Callable[[float], None]
) -> Iterator[Chunk]:
    """The table `reviews`: complete in closed cycles, on the way in the open one."""
    ability = _ability(options, people)

    def by_cycle() -> Iterator[Columns]:
        made = 0
        for number, cycle in enumerate(cycles):
            draws = stream(options.seed, "reviews", number)
            who = _reviewed(options, people, cycle)
            status, submitted = _form(draws, options, cycle, people.hired[who])
            rating = np.clip(np.rint(ability[who] + draws.normal(0, 0.6, len(who))), 1, 5)
            yield {
                "review_id": numbered("RV", made + 1, len(who)),
                "cycle_id": texts([cycle.cycle_id], np.zeros(len(who), dtype=np.int64)),
                "employee_id": people.ids[who],
                "reviewer_id": people.ids[people.in_charge(who, np.where(submitted > NO_DAY, submitted, cycle.end))],
                "status": texts(_FORMS, status),
                "rating": np.where(status >= _SUBMITTED, rating, np.nan),
                "submitted_on": dates(submitted),
            }
            made += len(who)
            progress((number + 1) / len(cycles))

    yield from gather("reviews", by_cycle())


def _form(draws: np.random.Generator, options: Options, cycle: Cycle, hired: Ints) -> tuple[Ints, Ints]:
    """Status and day of submission. In the open cycle forms fill up as the end comes near, and never all of them."""
    count = len(hired)
    if cycle.end < options.today:
        # The last forms of a cycle are handed in during the two weeks after it.
        submitted = np.minimum(cycle.end + 15 - draws.integers(0, 45, count), options.today)
        return np.full(count, _COMPLETED), np.maximum(submitted, hired)
    passed = (options.today - cycle.start + 1) / (cycle.end - cycle.start + 1)
    completed, handed_in, begun = 0.25 * passed**2, 0.20 * passed, 0.15 + 0.25 * passed
    status = _COMPLETED - weighted(draws, (completed, handed_in, begun, 1 - completed - handed_in - begun), count)
    recent = np.maximum(options.today - draws.integers(0, 40, count), np.maximum(cycle.start, hired))
    return status, np.where(status >= _SUBMITTED, recent, NO_DAY)


def goal_table(
    options: Options, people: People, cycles: list[Cycle], progress: Callable[[float], None]
) -> Iterator[Chunk]:
    """The table `goals`: one to four a person and cycle."""
    ability = _ability(options, people)

    def by_cycle() -> Iterator[Columns]:
        made = 0
        for number, cycle in enumerate(cycles):
            draws = stream(options.seed, "goals", number)
            who = _reviewed(options, people, cycle)
            count = weighted(draws, (0.06, 0.29, 0.45, 0.20), len(who))
            person = np.repeat(who, count + 1)
            pattern = np.repeat(count, count + 1)
            place = np.arange(len(person)) - np.repeat(np.cumsum(count + 1) - count - 1, count + 1)
            first_title = np.repeat(draws.integers(0, GOAL_TITLES.shape[1], len(who)), count + 1)
            title = GOAL_TITLES[people.department[person], (first_title + place * 3) % GOAL_TITLES.shape[1]]
            status, done = _progress(draws, options, cycle, ability[person])
            yield {
                "goal_id": numbered("GL", made + 1, len(person)),
                "employee_id": people.ids[person],
                "cycle_id": texts([cycle.cycle_id], np.zeros(len(person), dtype=np.int64)),
                "title": title,
                "weight": _WEIGHTS[pattern, place],
                "progress": done,
                "status": texts(_GOALS, status),
                "due_on": dates(cycle.end - draws.integers(0, 60, len(person))),
            }
            made += len(person)
            progress((number + 1) / len(cycles))

    yield from gather("goals", by_cycle())


def _progress(draws: np.random.Generator, options: Options, cycle: Cycle, ability: Floats) -> tuple[Ints, Ints]:
    """Status and percent done: settled in closed cycles, in step with the calendar in the open one."""
    count = len(ability)
    passed = min(1.0, (options.today - cycle.start + 1) / (cycle.end - cycle.start + 1))
    pace = 1.1 + 0.1 * (ability - 3.25) + draws.normal(0, 0.25, count)
    done = np.clip(np.rint(100 * passed * pace / 5) * 5, 0, 100).astype(np.int64)
    if cycle.end < options.today:
        done = np.where(done >= 90, 100, done)
        return np.where(done == 100, 3, 4), done
    behind: Bools = done < 100 * passed * 0.8
    return np.select([done == 100, done == 0, behind], [3, 0, 2], 1), done


def feedback_table(options: Options, people: People) -> Iterator[Chunk]:
    """The table `feedback`: from colleagues with the same manager, from managers, and from reports; oldest first."""
    draws = stream(options.seed, "feedback")
    begin = np.maximum(people.hired, options.start)
    days = np.clip(people.last_day - begin + 1, 0, None)
    receiver = np.repeat(np.arange(len(people)), draws.poisson(_PEERS_A_YEAR * days / 365))
    given = begin[receiver] + (draws.random(len(receiver)) * days[receiver]).astype(np.int64)
    giver = np.where(draws.random(len(receiver)) < 0.35, people.manager[receiver], _colleague(draws, people, receiver))
    here = (giver >= 0) & (giver != receiver) & (people.hired[giver] <= given) & (given <= people.last_day[giver])
    receiver, giver, given = receiver[here], giver[here], given[here]
    order = np.lexsort((receiver, given))
    receiver, giver, given = receiver[order], giver[order], given[order]
    kind = weighted(draws, (0.45, 0.25, 0.30), len(order))
    columns: Columns = {
        "feedback_id": numbered("FB", 1, len(order)),
        "from_employee_id": people.ids[giver],
        "to_employee_id": people.ids[receiver],
        "given_on": dates(given),
        "kind": texts(FEEDBACK_KINDS, kind),
        "text": FEEDBACK_TEXTS[kind, draws.integers(0, TEXTS_A_KIND, len(order))],
    }
    yield from split("feedback", columns)


def _colleague(draws: np.random.Generator, people: People, receiver: Ints) -> Ints:
    """Somebody with the same manager, possibly the person; a report now and then, for those who have any."""
    by_manager = np.argsort(people.manager, kind="stable")
    sorted_managers = people.manager[by_manager]
    asked = np.where(people.leads[receiver] & (draws.random(len(receiver)) < 0.4), receiver, people.manager[receiver])
    first = np.searchsorted(sorted_managers, asked)
    last = np.searchsorted(sorted_managers, asked, side="right")
    return by_manager[first + (draws.random(len(receiver)) * (last - first)).astype(np.int64)]
