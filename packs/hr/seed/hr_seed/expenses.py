"""Expense claims and their lines. What there is to spend money on is listed in `expense_kinds`."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from .columns import NO_DAY, Chunk, Columns, Floats, Ints, Texts, dates, numbered, rows_of, split, texts
from .draws import stream, weighted
from .expense_kinds import (
    ALL_MERCHANTS,
    ALL_PURPOSES,
    CATEGORIES,
    LIMITS,
    LINES,
    MERCHANT_COUNTS,
    MERCHANT_OFFSETS,
    OCCASIONS,
    SPREAD,
    TYPICAL,
)
from .options import Options
from .people import People
from .places import CURRENCIES, DEPARTMENTS, OFFICE_CURRENCY
from .rates import USUAL_RATES, Rates

_STATUSES = ("draft", "submitted", "approved", "rejected", "paid")
_DRAFT, _SUBMITTED, _APPROVED, _REJECTED, _PAID = range(5)
_BLOCK = 4_000
"""People a block; their lines over many years stay well below a chunk or two."""
_TWICE = 0.012
"""Share of claims of which the first line is claimed once more."""


@dataclass(frozen=True)
class _Claims:
    person: Ints
    submitted: Ints
    occasion: Ints
    purpose: Ints
    lines: Ints
    """How many."""


@dataclass(frozen=True)
class _Lines:
    claim: Ints
    """Position of the claim in its block."""
    category: Ints
    spent: Ints
    merchant: Ints
    amount: Floats
    currency: Ints


def limit_table() -> Iterator[Chunk]:
    """The table `expense_limits`."""
    yield from split("expense_limits", {"category": texts(CATEGORIES), "limit_eur": LIMITS})


def expense_tables(
    options: Options, people: People, rates: Rates, progress: Callable[[float], None]
) -> Iterator[Chunk]:
    """The tables `expense_claims` and `expense_lines`, taking turns block by block, claims first."""
    claims_made = lines_made = 0
    for first in range(0, len(people), _BLOCK):
        last = min(first + _BLOCK, len(people))
        draws = stream(options.seed, "expenses", first)
        claims = _claims(draws, options, people, first, last)
        lines = _lines(draws, options, people, claims)
        claims, lines = _with_duplicates(draws, people, claims, lines)
        claim_ids = numbered("EC", claims_made + 1, len(claims.person))
        table = _claim_columns(draws, options, people, claims, claim_ids)
        yield from split("expense_claims", table)
        line_ids = numbered("EL", lines_made + 1, len(lines.claim), 8)
        yield from split(
            "expense_lines",
            _line_columns(
                people=people, rates=rates, claims=claims, lines=lines, claim_ids=claim_ids, line_ids=line_ids
            ),
        )
        claims_made, lines_made = claims_made + rows_of(table), lines_made + len(line_ids)
        progress(last / len(people))


def _claims(draws: np.random.Generator, options: Options, people: People, first: int, last: int) -> _Claims:
    """Claims between the first weeks at work and the last day, more of them where the job means travelling."""
    block = np.arange(first, last)
    begin = np.maximum(people.hired[block] + 7, options.start + 7)
    days = np.clip(people.last_day[block] - begin + 1, 0, None)
    often = np.array([department.claims for department in DEPARTMENTS])[people.department[block]]
    often = often * draws.gamma(1.5, 1 / 1.5, len(block)) * np.where(people.grade[block] >= 7, 1.6, 1.0)
    person = np.repeat(block, draws.poisson(often * days / 365))
    submitted = begin[person - first] + (draws.random(len(person)) * days[person - first]).astype(np.int64)
    order = np.lexsort((submitted, person))
    occasion = weighted(draws, tuple(occasion.weight for occasion in OCCASIONS), len(person))
    fewest = np.array([occasion.fewest for occasion in OCCASIONS])[occasion]
    most = np.array([occasion.most for occasion in OCCASIONS])[occasion]
    return _Claims(
        person=person[order],
        submitted=submitted[order],
        occasion=occasion,
        purpose=occasion * 3 + draws.integers(0, 3, len(person)),
        lines=draws.integers(fewest, most + 1),
    )


def _lines(draws: np.random.Generator, options: Options, people: People, claims: _Claims) -> _Lines:
    claim = np.repeat(np.arange(len(claims.lines)), claims.lines)
    place = np.arange(len(claim)) - np.repeat(np.cumsum(claims.lines) - claims.lines, claims.lines)
    category = LINES[claims.occasion[claim], place]
    person = claims.person[claim]
    spent = claims.submitted[claim] - draws.integers(2, 26, len(claims.lines))[claim] + place // 2
    spent = np.clip(spent, np.maximum(people.hired[person], options.start), claims.submitted[claim])
    abroad = draws.random(len(claims.lines)) < np.array([one.abroad for one in OCCASIONS])[claims.occasion]
    home = OFFICE_CURRENCY[people.office[claims.person]]
    currency = np.where(abroad, draws.integers(0, len(CURRENCIES), len(home)), home)[claim]
    euros = TYPICAL[category] * np.exp(SPREAD[category] * draws.standard_normal(len(claim)))
    amount = euros / USUAL_RATES[currency]
    # Nobody is billed fractions of a rupee or a yen.
    amount = np.where(USUAL_RATES[currency] < 0.1, np.round(amount), np.round(amount, 2))
    merchant = MERCHANT_OFFSETS[category] + (draws.random(len(claim)) * MERCHANT_COUNTS[category]).astype(np.int64)
    return _Lines(claim, category, spent, merchant, amount, currency)


def _with_duplicates(
    draws: np.random.Generator, people: People, claims: _Claims, lines: _Lines
) -> tuple[_Claims, _Lines]:
    """Adds claims that bring the first line of an earlier claim once more, to the cent."""
    later = claims.submitted + draws.integers(1, 21, len(claims.lines))
    possible = later <= people.last_day[claims.person]
    again = np.flatnonzero(possible & (draws.random(len(possible)) < _TWICE))
    first_line = (np.cumsum(claims.lines) - claims.lines)[again]
    count = len(claims.lines)
    more_claims = _Claims(
        claims.person[again], later[again], claims.occasion[again], claims.purpose[again], np.ones_like(again)
    )
    more_lines = _Lines(
        np.arange(count, count + len(again)),
        *(getattr(lines, field)[first_line] for field in list(_Lines.__dataclass_fields__)[1:]),
    )
    return (
        _Claims(*(np.append(getattr(claims, f), getattr(more_claims, f)) for f in _Claims.__dataclass_fields__)),
        _Lines(*(np.append(getattr(lines, f), getattr(more_lines, f)) for f in _Lines.__dataclass_fields__)),
    )


def _claim_columns(
    draws: np.random.Generator, options: Options, people: People, claims: _Claims, claim_ids: Texts
) -> Columns:
    """Statuses follow from age: begun, handed in, decided within weeks, paid within two more."""
    count = len(claims.person)
    age = options.today - claims.submitted
    draft = (age < 20) & (draws.random(count) < 0.15)
    decided = claims.submitted + np.minimum(1 + draws.geometric(0.15, count), 45)
    rejected = draws.random(count) < 0.05
    paid = decided + draws.integers(3, 15, count)
    undecided = draft | (decided > options.today)
    status = np.select(
        [draft, decided > options.today, rejected, paid > options.today],
        [_DRAFT, _SUBMITTED, _REJECTED, _APPROVED],
        _PAID,
    )
    return {
        "claim_id": claim_ids,
        "employee_id": people.ids[claims.person],
        "submitted_on": dates(claims.submitted),
        "status": texts(_STATUSES, status),
        "purpose": texts(ALL_PURPOSES, claims.purpose),
        "currency": texts(CURRENCIES, OFFICE_CURRENCY[people.office[claims.person]]),
        "decided_by": people.ids[np.where(undecided, -1, people.in_charge(claims.person, decided))],
        "decided_on": dates(np.where(undecided, NO_DAY, decided)),
        "paid_on": dates(np.where(status == _PAID, paid, NO_DAY)),
    }


def _line_columns(
    *, people: People, rates: Rates, claims: _Claims, lines: _Lines, claim_ids: Texts, line_ids: Texts
) -> Columns:
    euros = rates.to_eur(lines.amount, lines.currency, lines.spent)
    return {
        "line_id": line_ids,
        "claim_id": claim_ids[lines.claim],
        "employee_id": people.ids[claims.person[lines.claim]],
        "category": texts(CATEGORIES, lines.category),
        "spent_on": dates(lines.spent),
        "merchant": texts(ALL_MERCHANTS, lines.merchant),
        "amount": lines.amount,
        "currency": texts(CURRENCIES, lines.currency),
        "amount_eur": euros,
        "over_limit": euros > LIMITS[lines.category],
    }
