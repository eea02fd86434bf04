"""The rule stage alone: it names what fired, and silence is "no signal"."""

import pytest
from tiermesh_classifier.classifier import Classifier, Depth, Question
from tiermesh_classifier.history import NO_HISTORY
from tiermesh_classifier.reading.calendar import Calendar
from tiermesh_classifier.scores import NO_SIGNAL, Scores, Stage


def by_rules(classifier: Classifier, calendar: Calendar, text: str) -> Scores:
    return classifier.score(Question(text, NO_HISTORY, calendar), Depth.RULES)


def test_a_rule_that_fires_is_named_with_the_words_that_made_it(classifier: Classifier, calendar: Calendar) -> None:
    text = "So: who has the highest overtime company-wide?"
    axis = by_rules(classifier, calendar, text).axes["cardinality"]

    assert (axis.label, axis.stage) == ("org", Stage.RULE)
    (evidence,) = axis.evidence
    assert text[evidence.start : evidence.end] == "company-wide"


def test_silence_is_no_signal_and_never_simple(classifier: Classifier, calendar: Calendar) -> None:
    scores = by_rules(classifier, calendar, "flurbo wibble")

    assert {axis.label for axis in scores.axes.values()} == {NO_SIGNAL}
    assert scores.confidence.value == 0.0


def test_a_rule_leaves_the_rest_to_no_signal(classifier: Classifier, calendar: Calendar) -> None:
    axis = by_rules(classifier, calendar, "and in the whole company").axes["cardinality"]

    assert axis.distribution["org"] + axis.distribution[NO_SIGNAL] == pytest.approx(1.0)
    assert 0.0 < axis.distribution[NO_SIGNAL] < 0.5


@pytest.mark.parametrize(
    ("text", "stage"),
    [
        ("my lead harasses the new girl", Stage.RULE),
        ("who still has to take the harassment prevention course", Stage.TRAINED),
        ("where are the slides on bullying", Stage.TRAINED),
    ],
)
def test_a_course_about_a_grave_matter_is_not_settled_by_its_name(
    classifier: Classifier, calendar: Calendar, text: str, stage: Stage
) -> None:
    assert classifier.score(Question(text, NO_HISTORY, calendar)).axes["stakes"].stage is stage
