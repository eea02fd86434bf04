"""Which measure the words name, over all measures of the pack: whatever else stands in their names, and is meant."""

from datetime import date

import pytest
from tiermesh_classifier.assembly import make_reader, make_slots
from tiermesh_classifier.history import NO_HISTORY
from tiermesh_classifier.reading.calendar import Calendar
from tiermesh_classifier.reading.reader import Reader
from tiermesh_classifier.slots.filling import Sense, SlotFiller
from tiermesh_classifier.vocabulary import words_of
from tiermesh_pack import Pack

COMPUTED = {"average": "average", "ratio": "average", "sum": "sum"}
ASKING = {"total", "number", "of"}


@pytest.fixture(scope="module")
def reader(pack: Pack) -> Reader:
    return make_reader(words_of(pack))


@pytest.fixture(scope="module")
def filler(pack: Pack) -> SlotFiller:
    return make_slots(pack)


def measure(reader: Reader, filler: SlotFiller, text: str, intent: str, aggregation: str) -> str:
    reading = reader.read(text, Calendar(date(2026, 11, 22)))
    measures = filler.fill(reading, Sense(intent, "org", aggregation, continues=False), NO_HISTORY).measures
    return measures[0].value if measures else ""


@pytest.mark.parametrize("frame", ["{} in the whole company last year?", "What was the {} of my team this year?"])
def test_a_measure_that_is_called_by_its_name_is_meant_whatever_the_intent(
    pack: Pack, reader: Reader, filler: SlotFiller, frame: str
) -> None:
    asked = 0
    for domain in pack.semantic.domains.values():
        for name, one in domain.measures.items():
            if len(set(one.label.casefold().split()) - ASKING) < 2:
                continue
            for intent in domain.intents:
                aggregation = COMPUTED.get(one.compute, "count")
                found = measure(reader, filler, frame.format(one.label), intent, aggregation)
                assert found in {name, one.average_as}, (one.label, intent)
                asked += 1
    assert asked > 200


@pytest.mark.parametrize(
    ("text", "intent", "aggregation", "wanted"),
    [
        ("How many leave requests did the company put in this year?", "leave.history", "count", "leave_requests"),
        ("number of people on leave last week", "leave.history", "count", "people_on_leave"),
        ("Number of leave requests by leave type last year", "leave.history", "count", "leave_requests"),
        ("how many days did people work remotely last year", "attendance.summary", "count", "remote_days"),
        ("what is the average tenure in the company", "people.lifecycle", "average", "average_tenure"),
        ("what was paid out in the company in May", "payroll.payslip", "sum", "net_pay"),
        # Words that are only about the domain leave it to what the intent means.
        ("how many people left the company last year", "people.lifecycle", "count", "leavers"),
        ("how many people are there", "people.lifecycle", "count", "joiners"),
        ("how much leave did the company take", "leave.history", "sum", "leave_days"),
    ],
)
def test_the_longer_phrase_is_meant_and_general_words_are_not(
    reader: Reader, filler: SlotFiller, text: str, intent: str, aggregation: str, wanted: str
) -> None:
    assert measure(reader, filler, text, intent, aggregation) == wanted
