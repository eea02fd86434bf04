"""The order in which tables are made: whatever a table refers to comes before it. Every table is made elsewhere."""

from collections.abc import Callable, Iterator

from .attendance import attendance_table
from .columns import Chunk
from .events import event_table
from .expenses import expense_tables, limit_table
from .leave import balance_table, leave_type_table, make_requests, request_table
from .options import Options
from .pay import compensation_table, make_pay, payslip_table
from .people import employee_table, make_people
from .performance import cycle_table, feedback_table, goal_table, make_cycles, review_table
from .places import place_tables
from .rates import make_rates, rate_table
from .tickets import ticket_table
from .tree import reporting_lines
from .workdays import holiday_table, make_workdays

Progress = Callable[[str, float], None]


def make_tables(options: Options, progress: Progress) -> Iterator[Chunk]:
    """All tables in foreign-key order; `progress` hears of each table's share done, and 1.0 at its end."""
    people = make_people(options)
    workdays = make_workdays(options)
    rates = make_rates(options)

    def told(*names: str) -> Callable[[float], None]:
        def tell(share: float) -> None:
            for name in names:
                progress(name, share)

        return tell

    yield from _finished(place_tables(), progress)
    yield from _finished(employee_table(options, people), progress)
    yield from _finished(reporting_lines(people.manager, people.ids), progress)
    yield from _finished(holiday_table(options), progress)
    requests = make_requests(options, people, workdays)
    yield from _finished(leave_type_table(), progress)
    yield from _finished(balance_table(options, people, requests), progress)
    yield from _finished(request_table(people, requests), progress)
    yield from attendance_table(options, people, workdays, requests, told("attendance_days"))
    yield from _finished(limit_table(), progress)
    yield from _finished(rate_table(rates), progress)
    yield from expense_tables(options, people, rates, told("expense_claims", "expense_lines"))
    cycles = make_cycles(options)
    yield from _finished(cycle_table(options, cycles), progress)
    yield from review_table(options, people, cycles, told("reviews"))
    yield from goal_table(options, people, cycles, told("goals"))
    yield from _finished(feedback_table(options, people), progress)
    pay = make_pay(options, people)
    yield from _finished(compensation_table(people, pay, rates), progress)
    yield from payslip_table(
        options=options, people=people, pay=pay, requests=requests, rates=rates, progress=told("payslips")
    )
    yield from _finished(event_table(options, people, pay), progress)
    yield from _finished(ticket_table(options, people), progress)


def _finished(chunks: Iterator[Chunk], progress: Progress) -> Iterator[Chunk]:
    """Passes chunks on and tells of each table when it is complete."""
    name = ""
    for table, columns in chunks:
        if name not in ("", table):
            progress(name, 1.0)
        name = table
        yield table, columns
    if name:
        progress(name, 1.0)
