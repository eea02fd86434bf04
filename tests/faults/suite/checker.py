"""Goes over a recorded history and says what is not as promised. Pure: what it compares is handed to it.

The promises: every accepted question has exactly one terminal outcome, at its client and in the log; every call that a
provider saw is booked exactly once; every question that was answered is one trace; no answer that was cut is given for
a whole one; nothing hangs. Where the evidence comes from is `evidence`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.faults.suite.history import Question

# Of a client that left without a word, and of one whose gateway died, the log may know no ending.
_LEFT = ("cancelled", "failed", "open")


@dataclass(frozen=True)
class Receipt:
    """What the gateway says of an answer when it is asked later."""

    request_id: str
    decision_id: str
    complete: bool
    total_micros: int


@dataclass(frozen=True)
class Decision:
    """A line of the decision log."""

    decision_id: str
    request_id: str


@dataclass(frozen=True)
class Ending:
    """How the log says that a decision's answer ended."""

    decision_id: str
    complete: bool


@dataclass(frozen=True)
class Booking:
    """A line of the ledger."""

    entry_id: str
    request_id: str
    # Empty where the provider never answered with one: intended, refused, cut before its headers.
    provider_request_id: str
    model: str
    cost_micros: int
    settled: bool


@dataclass(frozen=True)
class ModelCall:
    """A call that the provider saw."""

    provider_request_id: str
    model: str
    # Unix seconds.
    at: float = 0.0
    # How the provider saw it end, in its own words.
    outcome: str = ""


@dataclass(frozen=True)
class Root:
    """A question's outermost span."""

    trace_id: str
    span_id: str
    service: str


@dataclass(frozen=True)
class Evidence:
    """Everything that others know of the questions."""

    receipts: Mapping[str, Receipt] = field(default_factory=dict)
    decisions: Sequence[Decision] = ()
    endings: Sequence[Ending] = ()
    bookings: Sequence[Booking] = ()
    calls: Sequence[ModelCall] = ()
    roots: Sequence[Root] = ()
    # Records that waited in a spool, or were set aside, when everything else had come to rest.
    undelivered: int = 0


@dataclass(frozen=True)
class Excuse:
    """A stretch of time in which something observed may be missing, and why."""

    of: str  # trace, ending or receipt
    since: float
    until: float
    why: str


@dataclass(frozen=True)
class Finding:
    """One broken promise."""

    kind: str
    subject: str
    words: str
    # Why it had to be so, "" for what may not be.
    excused: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.subject}: {self.words}"


def check(history: Sequence[Question], evidence: Evidence, excuses: Collection[Excuse] = ()) -> list[Finding]:
    """Return every broken promise, those that are excused marked as such."""
    found = [*_ends(history), *_truncations(history)]
    found += _log(history, evidence, excuses)
    found += _receipts(history, evidence, excuses)
    found += _bookings(evidence)
    found += _traces(history, evidence, excuses)
    if evidence.undelivered:
        found.append(Finding("undelivered", "spools", f"{evidence.undelivered} records never left"))
    return found


def _ends(history: Sequence[Question]) -> Iterator[Finding]:
    for each in history:
        if each.ended == "hung":
            yield Finding("hung", each.request_id, "its client waited beyond the deadline")
        elif each.ended == "open":
            yield Finding("lost", each.request_id, "no end was ever seen")
        elif each.ended == "unclear":
            yield Finding("unclear", each.request_id, f"ended with {each.ends[0].get('code')} and no reason")
        if len(each.ends) > 1:
            yield Finding("twice", each.request_id, f"ended {len(each.ends)} times")
        if sum(event["event"] == "answer_done" for event in each.events) > 1:
            yield Finding("twice", each.request_id, "answer_done came more than once")


def _truncations(history: Sequence[Question]) -> Iterator[Finding]:
    whole: dict[str, set[str]] = defaultdict(set)
    for each in history:
        if each.ended == "complete":
            whole[each.text].add(each.answer.strip())
    for each in history:
        if each.ended not in ("complete", "incomplete"):
            continue
        if [event["sequence"] for event in each.events] != list(range(1, len(each.events) + 1)):
            yield Finding("truncated", each.request_id, "its events have a gap and it ended well")
        if not each.events or each.events[-1]["event"] != "receipt":
            yield Finding("truncated", each.request_id, "it ended well without a receipt")
        if each.ended != "complete":
            continue
        answer = each.answer.strip()
        kinds = {event["event"] for event in each.events}
        if not answer and not kinds & {"table", "clarification", "proposal"}:
            yield Finding("truncated", each.request_id, "it is called complete and is empty")
        elif answer and (longer := [one for one in whole[each.text] if one != answer and one.startswith(answer)]):
            goes_on = f"{answer[-40:]!r}, where another goes on: {longer[0][len(answer) :][:60]!r}"
            yield Finding("truncated", each.request_id, f"it is called complete and breaks off after {goes_on}")


def _log(history: Sequence[Question], evidence: Evidence, excuses: Collection[Excuse]) -> Iterator[Finding]:
    decided = Counter(each.decision_id for each in evidence.decisions)
    ended: dict[str, list[Ending]] = defaultdict(list)
    for ending in evidence.endings:
        ended[ending.decision_id].append(ending)
    for decision_id, times in decided.items():
        if times > 1:
            yield Finding("twice", decision_id, f"is {times} times in the decision log")
    for each in history:
        if not each.accepted:
            continue
        decision_id = str(each.decision.get("decision_id"))
        if not decided[decision_id]:
            yield Finding("lost", each.request_id, "was accepted and is not in the decision log")
        endings = ended[decision_id]
        if len(endings) > 1:
            yield Finding("twice", each.request_id, f"has {len(endings)} endings in the log")
        if not endings and each.ended not in _LEFT:
            words = f"was {each.ended} and the log knows no ending"
            yield Finding("lost", each.request_id, words, _excuse("ending", each, excuses))
        if endings and each.receipt is not None and endings[0].complete != bool(each.receipt.get("complete")):
            yield Finding("mismatch", each.request_id, "the log and the client do not agree on whether it is complete")


def _receipts(history: Sequence[Question], evidence: Evidence, excuses: Collection[Excuse]) -> Iterator[Finding]:
    spent: Counter[str] = Counter()
    for booking in evidence.bookings:
        spent[booking.request_id] += booking.cost_micros
    for each in history:
        if each.receipt is None:
            continue
        receipt = evidence.receipts.get(each.request_id)
        if receipt is None:
            words = "its receipt was shown and cannot be had again"
            yield Finding("lost", each.request_id, words, _excuse("receipt", each, excuses))
            continue
        if receipt.decision_id != each.decision.get("decision_id"):
            yield Finding("mismatch", each.request_id, "its receipt is of another decision")
        if receipt.complete != bool(each.receipt.get("complete")):
            yield Finding("mismatch", each.request_id, "its receipt was another when it was shown")
        if receipt.total_micros > spent[each.request_id]:
            words = f"its receipt says {receipt.total_micros} µ$, the ledger {spent[each.request_id]}"
            yield Finding("unbooked", each.request_id, words)


def _bookings(evidence: Evidence) -> Iterator[Finding]:
    entries = Counter(each.entry_id for each in evidence.bookings)
    for entry_id, times in entries.items():
        if times > 1:
            yield Finding("booked twice", entry_id, f"is {times} times in the ledger")
    named = Counter(each.provider_request_id for each in evidence.bookings if each.provider_request_id)
    for provider_request_id, times in named.items():
        if times > 1:
            yield Finding("booked twice", provider_request_id, f"one call of the provider has {times} bookings")
    seen = {each.provider_request_id for each in evidence.calls}
    for provider_request_id in named.keys() - seen:
        yield Finding("invented", provider_request_id, "is booked and was never made")
    # A booking without the provider's id stands for at most one call of the same model that is not named by another.
    spare = Counter(each.model for each in evidence.bookings if not each.provider_request_id)
    for call in evidence.calls:
        if call.provider_request_id in named:
            continue
        if spare[call.model]:
            spare[call.model] -= 1
        else:
            yield Finding("unbooked", call.provider_request_id, _unbooked(call))


def _unbooked(call: ModelCall) -> str:
    at = datetime.fromtimestamp(call.at, UTC).strftime("%H:%M:%S")
    return f"{call.model} was called at {at} ({call.outcome}) and nothing is booked"


def _traces(history: Sequence[Question], evidence: Evidence, excuses: Collection[Excuse]) -> Iterator[Finding]:
    roots: dict[str, set[str]] = defaultdict(set)
    for root in evidence.roots:
        roots[root.trace_id].add(root.span_id)
    for each in history:
        if each.ended not in ("complete", "incomplete"):
            continue
        trace_id = str(each.decision.get("trace_id", ""))
        if not trace_id:
            yield Finding("untraced", each.request_id, "its decision names no trace")
        elif len(roots[trace_id]) > 1:
            yield Finding("twice", each.request_id, f"its trace has {len(roots[trace_id])} roots")
        elif not roots[trace_id]:
            words = f"its trace has no root ({trace_id})"
            yield Finding("untraced", each.request_id, words, _excuse("trace", each, excuses))


def _excuse(of: str, question: Question, excuses: Collection[Excuse]) -> str:
    return next(
        (
            excuse.why
            for excuse in excuses
            if excuse.of == of and question.asked_at <= excuse.until and question.ended_at >= excuse.since
        ),
        "",
    )
