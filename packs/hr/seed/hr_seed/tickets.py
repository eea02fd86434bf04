"""Tickets to the IT and HR desks."""

from collections.abc import Iterator

import numpy as np

from .columns import NO_DAY, Chunk, Columns, dates, numbered, split, texts
from .draws import stream
from .options import Options
from .people import People

_TITLES = (
    "Laptop does not start",
    "Password reset",
    "VPN connection drops",
    "Second monitor requested",
    "Access to shared drive",
    "Printer jams on second floor",
    "Software licence needed",
    "E-mail cannot be sent",
    "Phone screen broken",
    "Meeting room display is dark",
    "Question about my payslip",
    "Certificate of employment",
    "Change of bank details",
    "Parental leave advice",
    "Question about holiday carry-over",
    "Change of address",
    "Health insurance form",
    "Pension question",
    "Reference letter",
    "Working hours change",
)
_IT_TITLES = 10
_DETAILS = (
    "Since this morning.",
    "As talked about on the phone.",
    "It is urgent, please call me back.",
    "Form is in the internal mail.",
    "Happened twice this week.",
)
_WITH_DETAILS = 0.4
_A_YEAR = 1.4


def ticket_table(options: Options, people: People) -> Iterator[Chunk]:
    """The table `support_tickets`, oldest first."""
    draws = stream(options.seed, "tickets")
    begin = np.maximum(people.hired, options.start)
    days = np.clip(people.last_day - begin + 1, 0, None)
    person = np.repeat(np.arange(len(people)), draws.poisson(_A_YEAR * days / 365))
    opened = begin[person] + (draws.random(len(person)) * days[person]).astype(np.int64)
    order = np.lexsort((person, opened))
    person, opened = person[order], opened[order]
    title = draws.integers(0, len(_TITLES), len(person))
    takes = draws.geometric(0.16, len(person)) * np.where(draws.random(len(person)) < 0.05, 6, 1)
    closed = opened + takes - 1
    open_now = closed > options.today
    started = open_now & (draws.random(len(person)) < 0.5)
    said = np.where(draws.random(len(person)) < _WITH_DETAILS, draws.integers(0, len(_DETAILS), len(person)), -1)
    columns: Columns = {
        "ticket_id": numbered("TK", 1, len(person)),
        "employee_id": people.ids[person],
        "kind": texts(("it", "hr"), (title >= _IT_TITLES).astype(np.int64)),
        "title": texts(_TITLES, title),
        "status": texts(("open", "in_progress", "closed"), np.where(open_now, started.astype(np.int64), 2)),
        "opened_on": dates(opened),
        "closed_on": dates(np.where(open_now, NO_DAY, closed)),
        "details": texts(_DETAILS, said),
    }
    yield from split("support_tickets", columns)
