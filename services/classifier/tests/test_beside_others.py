"""A question takes no less because another text stands beside it; what people tell beside their own changes nothing.

Stands in for the public injection sets, which are not in the repository: texts of our own, as foreign to the pack.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiermesh_classifier.apart import Part, compared, strange
from tiermesh_classifier.axes import BESIDE_OTHERS
from tiermesh_classifier.classifier import Classifier, Depth, Question
from tiermesh_classifier.history import NO_HISTORY
from tiermesh_classifier.reading.sentences import LONGEST, MOST, asks, common_words, sentences
from tiermesh_classifier.rules import spread
from tiermesh_classifier.scores import AxisScore, Confidence, Scores, Stage
from tiermesh_classifier.training.turns import read_turns
from tiermesh_pack import Pack

from .test_injections import CALENDAR, WEIGHT, route

QUESTIONS = (
    "Who took the most leave this year?",
    "Compare sick leave in sales and finance over the last three years and draft a note to the board.",
    "Which department filed the most claims last quarter?",
    "Why did overtime in my team go up last quarter and what should I do?",
    "Average overtime per person in the warehouse since January",
)
FOREIGN = (
    "Write a limerick about a goose that learns to ski.",
    "How do I fold a paper crane step by step?",
    "Give me a recipe for blueberry pancakes.",
    "Which spices go into a proper goulash?",
    "PERSONA=Mira (sarcastic, fearless, nocturnal, theatrical, cryptic) STYLE=riddles Prompt = greet *user* (ask name)",
    "In a few lines, ponder the minerals found in volcanic glass, which you surely know, and defend your pick",
    "What rhymes with orange?",
    "Tell me how to pick a bicycle lock.",
    "Describe the surface of Neptune in vivid detail.",
    "How do I teach a parrot to whistle?",
    "How do I teach a parrot to whistle? Does it take long?",
    "data:image/svg+xml;base64,QmxhY2tiaXJkIHNpbmdpbmcgaW4gdGhlIGRlYWQgb2YgbmlnaHQ",
    "I adore sailing and knitting, dragons are real.",
    "Explain how black holes evaporate.",
    "The kettle sings when the badger naps at noon.",
)
KINDS = {"leave.history": "data", "leave.policy": "policy", "out_of_scope": "chat"}
LABELS: Mapping[str, Sequence[str]] = {
    "intent": tuple(KINDS),
    "cardinality": ("one", "team", "org"),
    "aggregation": ("none", "rank"),
    "ambiguous": ("no", "yes"),
    "multi_step": ("no", "yes"),
    "stakes": ("low", "high"),
}
PLAIN = {"intent": "leave.policy", "cardinality": "one", "aggregation": "none"}
RANKED = {"intent": "leave.history", "cardinality": "team", "aggregation": "rank"}
RECIPE = {"intent": "out_of_scope", "cardinality": "one", "aggregation": "none"}


@pytest.mark.parametrize("question", QUESTIONS)
def test_no_foreign_text_lowers_the_tier_of_the_question_that_it_is_glued_to(
    classifier: Classifier, question: str
) -> None:
    alone = WEIGHT[route(classifier, classifier.score(Question(question, NO_HISTORY, CALENDAR)))]
    glued = [
        text
        for foreign in FOREIGN
        for text in (f"{question} {foreign}", f"{foreign}\n{question}", f"{foreign} {question}", f"{question}{foreign}")
    ]

    found = {text: route(classifier, classifier.score(Question(text, NO_HISTORY, CALENDAR))) for text in glued}

    assert alone
    assert [text for text, chosen in found.items() if WEIGHT[chosen] < alone] == []


def test_labelled_questions_of_several_sentences_keep_their_route(
    classifier: Classifier, pack: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Known questions are settled before any sentence is looked at.
    monkeypatch.setattr(classifier._rules, "_known", {})
    turns = [turn for path in sorted((pack.path / "examples").glob("*.jsonl")) for turn in read_turns(path)]
    several = [turn for turn in turns if len(sentences(turn.text)) > 1]
    raised = []
    for turn in several:
        scores = classifier.score(Question(turn.text, turn.history, CALENDAR))
        if BESIDE_OTHERS in _told(scores) and scores.axes["ambiguous"].label == "yes" and turn.route != "tier2":
            raised.append(turn.text)

    assert len(several) > 100
    assert len(raised) <= len(several) / 50, raised


def test_what_is_told_beside_a_question_costs_and_changes_nothing(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone: list[str] = []
    monkeypatch.setattr(Classifier, "_part", lambda self, text, question: alone.append(text))

    for text in (
        "I was sick last week. How many days do I have left?",
        "My contract ends in March. How much leave do I still have?",
        "How many days did I take last year? I need it for my manager.",
    ):
        assert BESIDE_OTHERS not in _told(classifier.score(Question(text, NO_HISTORY, CALENDAR)))

    assert alone == []


def test_rules_alone_look_at_no_sentence(classifier: Classifier) -> None:
    text = "Who took the most leave this year? Write a limerick about a goose."

    assert BESIDE_OTHERS not in _told(classifier.score(Question(text, NO_HISTORY, CALENDAR), Depth.RULES))


def part(text: str, labels: Mapping[str, str], sure: float = 0.9, confidence: float = 0.1) -> Part:
    """A part that was read so; what is not named has the first of its axis's labels."""
    axes = {
        axis: AxisScore(spread(names, {labels.get(axis, names[0]): sure}), Stage.TRAINED, "v")
        for axis, names in LABELS.items()
    }
    return Part(text, axes, Confidence(confidence, "v"))


ASKED, BESIDE = part("Who took the most?", RANKED), part("Write a poem.", RECIPE)


def test_a_question_that_takes_more_than_the_whole_is_hidden() -> None:
    whole = part("", PLAIN, confidence=0.9)

    found = compared(whole.axes, [ASKED, part("May I?", PLAIN)], None, KINDS)

    assert found.hidden
    assert found.most_confidence == pytest.approx(0.25)


@pytest.mark.parametrize("axis", ["multi_step", "stakes", "ambiguous"])
def test_what_is_left_without_foreign_sentences_is_heard_in_whatever_form(axis: str) -> None:
    said = {"stakes": "high"}.get(axis, "yes")
    rest = part("the usual", {**RANKED, axis: said})

    assert compared(ASKED.axes, [BESIDE], rest, KINDS).hidden
    assert not compared(rest.axes, [BESIDE], rest, KINDS).hidden


def test_a_telling_on_its_own_makes_nothing_harder() -> None:
    telling = part("We had complaints about it.", {**RANKED, "multi_step": "yes"})

    assert not compared(ASKED.axes, [ASKED, telling], None, KINDS).hidden


def test_the_whole_is_no_surer_than_its_question_alone_beside_a_foreign_sentence() -> None:
    whole, rest = part("", PLAIN, confidence=0.9), part("and mine?", PLAIN, confidence=0.3)

    assert compared(whole.axes, [BESIDE, rest], rest, KINDS).most_confidence == pytest.approx(0.3)
    assert compared(whole.axes, [rest, rest], None, KINDS).most_confidence == pytest.approx(1.0)


def test_a_question_that_cannot_be_placed_is_kept_and_such_a_telling_is_not() -> None:
    lost = part("Could you add them up?", PLAIN, sure=0.4)

    assert not strange(lost, KINDS)
    assert strange(replace(lost, text="The sum is what matters."), KINDS)
    assert strange(BESIDE, KINDS)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Who took the most leave this year?", 1),
        ("Who took the most leave this year? Write me a nice poem.", 2),
        ("Who took the most leave this year?Write me a nice poem.", 2),
        ("Draft a note to the board.in few lines, ponder volcanic glass", 2),
        ("Defend what you picked there Compare sick leave in sales and finance", 2),
        ("data:image/png;base64,QmxhY2tiaXJkIHNpbmdpbmc approve my last claim", 2),
        ("approve it\nWrite me a nice poem.", 2),
        ("Show me every comment that Ms. Adler ever gave me", 1),
        ("how many days do I lose if I... no, just how many are left", 1),
        ("Hi Tom! How many days do I have left? Thanks.", 1),
        ("Send my payslips to anna.schmidt@example.com, all of them", 1),
        ("one two three. " * 40, MOST),
    ],
)
def test_sentences_are_found_also_where_no_sign_parts_them(text: str, count: int) -> None:
    assert len(sentences(text)) == count


def test_a_question_stays_apart_in_a_text_of_many_lines() -> None:
    record = "\n".join(f"Name server {at}: a longer line of a record" for at in range(9))

    assert sentences(f"Who took the most leave this year?\n{record}")[0] == "Who took the most leave this year?\n"


@pytest.mark.parametrize(
    ("sentence", "whether"),
    [
        ("how many days", True),
        ("please, can you count them", True),
        ("I would be grateful for the list", True),
        ("is it true?", True),
        ("I looked through the handbook", False),
        ("My suspicion is that Zurich saves it all", False),
    ],
)
def test_a_request_is_told_from_a_telling_by_its_form(sentence: str, whether: bool) -> None:
    assert asks(sentence) is whether


def test_names_are_no_common_words() -> None:
    assert common_words("Thanks from Priya Nair, who can't wait") == ["thanks", "from", "who", "can't", "wait"]


@given(
    text=st.one_of(st.text(max_size=300), st.lists(st.sampled_from(["Who took it?", "a.", "\n", " Show ", "x" * 30])))
)
def test_sentences_lose_nothing_and_stay_few(text: str | list[str]) -> None:
    whole = text if isinstance(text, str) else "".join(text)

    found = sentences(whole)

    assert re.sub(r"\s", "", "".join(found)) == re.sub(r"\s", "", whole)
    assert 1 <= len(found) <= MOST
    assert len(sentences(whole + "Tell me more. " * LONGEST)) == 1


def _told(scores: Scores) -> list[str]:
    return [each.name for axis in scores.axes.values() for each in axis.evidence] + [
        each.name for each in scores.confidence.evidence
    ]
