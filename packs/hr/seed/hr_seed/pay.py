"""Pay: salary history and monthly payslips. Promotions come out of the salary history; `events` tells them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np

from .columns import (
    Bools,
    Chunk,
    Columns,
    Floats,
    Ints,
    dates,
    gather,
    month_of,
    month_start,
    numbered,
    split,
    texts,
    year_of,
    year_start,
)
from .draws import stream
from .leave import APPROVED, Requests
from .leave_wishes import UNPAID
from .options import Options
from .people import INTERN, People
from .places import CURRENCIES, DEPARTMENTS, OFFICE_CURRENCY, OFFICES
from .rates import USUAL_RATES, Rates
from .workdays import weekday

_BASE = np.array([0, 33, 41, 50, 61, 75, 92, 108, 135, 190, 340]) * 1000.0
"""Euros a year by grade, in Berlin and full time."""
_BONUS = np.array([0, 0, 0, 5, 5, 8, 10, 12, 18, 25, 50]) * 1.0
"""Target in percent of salary, by grade."""
_TAX_TOP = np.array([0.45, 0.42, 0.36, 0.37, 0.40, 0.43])
_TAX_HALF = np.array([70.0, 75.0, 40.0, 110.0, 90.0, 75.0]) * 1000
"""Euros a year at which the average tax is half the top one, by country."""
_SOCIAL = np.array([0.20, 0.08, 0.12, 0.0765, 0.22, 0.065])
_SOCIAL_CAP = np.array([7500.0, 5500.0, 1800.0, 13000.0, 12000.0, 4900.0])
"""Euros a month above which no more social security is due."""
_WORKED_DAYS_A_MONTH = 21.7
_BONUS_MONTH = 2
"""March, counted from January 0."""


@dataclass(frozen=True)
class PayHistory:
    """Salaries by person; column k stands for the raise on 1 April, k years before the year of `as_of`."""

    raises: Ints
    """[k]: the day of the raise."""
    got: Bools
    """[person, k]: whether there was one."""
    promoted: Bools
    """[person, k]: whether it came with the next grade."""
    salary: Floats
    """[person, k]: from that raise on."""
    first_salary: Floats
    """On the day of hiring."""
    grade: Ints
    """[person, k]: from that raise on."""
    first_grade: Ints


def make_pay(options: Options, people: People) -> PayHistory:
    """Today's salaries from grade, office, department and hours, and the raises that led there."""
    raises = _raise_days(options, people)
    got = (people.hired[:, None] + 180 < raises) & (raises <= people.last_day[:, None])
    draws = stream(options.seed, "raises")
    share = np.clip(draws.normal(0.032, 0.012, got.shape), 0.0, 0.08)
    room = np.minimum(people.grade - 1, 2)
    likely = got & (draws.random(got.shape) < 0.08) & (people.grade < 9)[:, None]
    promoted = likely & (np.cumsum(likely, axis=1) <= room[:, None])
    share = np.where(got, share + np.where(promoted, 0.10, 0.0), 0.0)
    # Going back in time: a salary is today's, divided by every raise after it.
    factor = np.cumprod(1 + share, axis=1)
    after = np.concatenate([np.ones((len(people), 1)), factor[:, :-1]], axis=1)
    steps = np.cumsum(promoted, axis=1)
    today = _salary_today(options, people)
    return PayHistory(
        raises=raises,
        got=got,
        promoted=promoted,
        salary=np.round(today[:, None] / after, -1),
        first_salary=np.round(today / factor[:, -1], -1).astype(np.float64),
        grade=people.grade[:, None] - np.concatenate([np.zeros((len(people), 1), np.int64), steps[:, :-1]], axis=1),
        first_grade=people.grade - steps[:, -1],
    )


def _raise_days(options: Options, people: People) -> Ints:
    oldest = int(year_of(people.hired.min(keepdims=True))[0])
    years = range(options.as_of.year, oldest - 1, -1)
    return np.array([np.datetime64(date(year, 4, 1), "D").astype(np.int64) for year in years])


def _salary_today(options: Options, people: People) -> Floats:
    office = np.array([place.pay for place in OFFICES])[people.office]
    department = np.array([place.pay for place in DEPARTMENTS])[people.department]
    own = np.clip(stream(options.seed, "salary").normal(1.0, 0.08, len(people)), 0.8, 1.3)
    euros = _BASE[people.grade] * office * department * own * people.weekly_hours / 40
    euros = np.where(people.employment == INTERN, euros * 0.6, euros)
    salary: Floats = euros / USUAL_RATES[OFFICE_CURRENCY[people.office]]
    return salary


def compensation_table(people: People, pay: PayHistory, rates: Rates) -> Iterator[Chunk]:
    """The table `compensation`: the salary of the first day, then one row a raise."""
    person, column = np.nonzero(pay.got[:, ::-1])
    column = pay.got.shape[1] - 1 - column
    everybody = np.arange(len(people))
    who = np.concatenate([everybody, person])
    since = np.concatenate([people.hired, pay.raises[column]])
    salary = np.concatenate([pay.first_salary, pay.salary[person, column]])
    grade = np.concatenate([pay.first_grade, pay.grade[person, column]])
    order = np.lexsort((since, who))
    who, since, salary, grade = who[order], since[order], salary[order], grade[order]
    currency = OFFICE_CURRENCY[people.office[who]]
    columns: Columns = {
        "employee_id": people.ids[who],
        "effective_on": dates(since),
        "annual_salary": salary,
        "currency": texts(CURRENCIES, currency),
        "annual_salary_eur": rates.to_eur(salary, currency, since),
        "bonus_target": _BONUS[grade],
    }
    yield from split("compensation", columns)


def payslip_table(
    *,
    options: Options,
    people: People,
    pay: PayHistory,
    requests: Requests,
    rates: Rates,
    progress: Callable[[float], None],
) -> Iterator[Chunk]:
    """The table `payslips`: every month of the period that is over, everybody employed in it."""
    first = int(month_of(np.array([options.start]))[0])
    # A month is over on its last day.
    last = int(month_of(np.array([options.today + 1]))[0])
    unpaid = _unpaid_days(requests, len(people), first, last)

    def months() -> Iterator[Columns]:
        made = 0
        for month in range(first, last):
            columns = _payslips(
                options=options,
                people=people,
                pay=pay,
                rates=rates,
                month=month,
                unpaid=unpaid[:, month - first],
                made=made,
            )
            made += len(columns["payslip_id"])
            yield columns
            progress((month - first + 1) / (last - first))

    yield from gather("payslips", months())


def _unpaid_days(requests: Requests, people: int, first: int, last: int) -> Floats:
    """[person, month]: weekdays of approved unpaid leave."""
    unpaid = requests.pick((requests.leave_type == UNPAID) & (requests.status == APPROVED))
    lengths = unpaid.end - unpaid.start + 1
    which = np.repeat(np.arange(len(lengths)), lengths)
    day = unpaid.start[which] + np.arange(len(which)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    month = month_of(day) - first
    counted = (weekday(day) < 5) & (month < last - first)
    found = np.zeros((people, last - first))
    np.add.at(found, (unpaid.person[which][counted], month[counted]), 1.0)
    return found


def _payslips(
    *, options: Options, people: People, pay: PayHistory, rates: Rates, month: int, unpaid: Floats, made: int
) -> Columns:
    first, after = month_start(np.array([month, month + 1]))
    days = np.minimum(people.last_day, after - 1) - np.maximum(people.hired, first) + 1
    who = np.flatnonzero(days > 0)
    draws = stream(options.seed, "payslips", month - int(month_of(np.array([options.start]))[0]))
    currency = OFFICE_CURRENCY[people.office[who]]
    salary, grade = _in_force(pay, int(after))
    monthly = salary[who] / 12
    worked = np.clip(days[who] / (after - first) - unpaid[who] / _WORKED_DAYS_A_MONTH, 0, 1)
    bonus = _bonus(draws, people, who, salary[who] * _BONUS[grade[who]] / 100, int(first))
    overtime = _overtime(draws, people, who, monthly)
    gross = np.round(np.round(monthly * worked, 2) + bonus + overtime, 2)
    tax, social = _deductions(people.office[who], gross, monthly, USUAL_RATES[currency])
    net = np.round(gross - tax - social, 2)
    month_days = np.full(len(who), first)
    return {
        "payslip_id": numbered("PS", made + 1, len(who), 8),
        "employee_id": people.ids[who],
        "month": dates(month_days),
        "gross": gross,
        "net": net,
        "tax": tax,
        "social_security": social,
        "bonus": bonus,
        "overtime_pay": overtime,
        "currency": texts(CURRENCIES, currency),
        "gross_eur": rates.to_eur(gross, currency, month_days),
        "net_eur": rates.to_eur(net, currency, month_days),
    }


def _in_force(pay: PayHistory, after: int) -> tuple[Floats, Ints]:
    """Salary and grade of the month: those of the last 1 April, or the first ones before any raise."""
    column = int(np.searchsorted(-pay.raises, -(after - 1)))
    if column == len(pay.raises):
        return pay.first_salary, pay.first_grade
    raised = pay.got[:, column]
    return (
        np.where(raised, pay.salary[:, column], pay.first_salary),
        np.where(raised, pay.grade[:, column], pay.first_grade),
    )


def _bonus(draws: np.random.Generator, people: People, who: Ints, target: Floats, first: int) -> Floats:
    """Paid in March for the year before, to whom was here for some of it."""
    factor = np.clip(draws.normal(0.95, 0.25, len(who)), 0.0, 1.6)
    if int(month_of(np.array([first]))[0]) % 12 != _BONUS_MONTH:
        return np.zeros(len(who))
    this_year = int(year_start(year_of(np.array([first])))[0])
    served = np.clip((this_year - people.hired[who]) / 365, 0, 1)
    bonus: Floats = np.round(target * factor * served, 2)
    return bonus


def _overtime(draws: np.random.Generator, people: People, who: Ints, monthly: Floats) -> Floats:
    """Paid in departments with shifts and below team leads; elsewhere it is taken as time off."""
    shifts = np.array([department.shifts for department in DEPARTMENTS])[people.department[who]]
    paid = shifts & (people.grade[who] <= 5) & (draws.random(len(who)) < 0.35)
    hours = draws.integers(1, 13, len(who))
    hourly = monthly / (people.weekly_hours[who] * 52 / 12)
    return np.round(np.where(paid, hours * hourly * 1.25, 0.0), 2).astype(np.float64)


def _deductions(office: Ints, gross: Floats, monthly: Floats, rate: Floats) -> tuple[Floats, Floats]:
    """Income tax rises with the salary towards the country's top rate; social security stops at its ceiling."""
    yearly = monthly * 12 * rate
    tax = np.round(gross * _TAX_TOP[office] * yearly / (yearly + _TAX_HALF[office]), 2)
    social = np.round(np.minimum(gross, _SOCIAL_CAP[office] / rate) * _SOCIAL[office], 2)
    return tax, social


def promotions(pay: PayHistory) -> tuple[Ints, Ints, Ints]:
    """Who was promoted, when, and to which grade."""
    person, column = np.nonzero(pay.promoted)
    return person, pay.raises[column], pay.grade[person, column]
