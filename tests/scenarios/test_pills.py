"""Pills over the whole suite: where they lead, and that the tier which answered makes no difference to them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

QUESTIONS = (
    "How many leave days do I have left?",
    "Who applied for the most leave this year?",
    "What may I claim for a hotel night?",
    "How much did my team claim in expenses last quarter?",
    "When does the review cycle end?",
    "How is overtime compensated?",
)


@pytest.fixture(scope="module")
def report(suite: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("pills")
    data, found = folder / "questions.jsonl", folder / "report.json"
    data.write_text("".join(json.dumps({"text": text}) + "\n" for text in QUESTIONS))
    done = suite.run("eval", "pills", "--data", str(data), "--json", str(found), timeout=300)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "the simulator" in done.stdout
    report: dict[str, Any] = json.loads(Path(found).read_text())
    return report


def test_the_same_questions_have_equal_pills_whichever_tier_answered(report: dict[str, Any]) -> None:
    compared = report["same_questions_at_both_tiers"]
    assert compared["pairs"] >= 3
    assert compared["equal_within_noise"], compared["shares"]
    assert {row["tier"] for row in report["tiers"]} == {"1", "2"}
    assert report["errors"] == {}


def test_a_clicked_pill_goes_by_its_own_classification_to_an_answer(report: dict[str, Any]) -> None:
    clicks = sum(row["clicked_by_token"]["of"] for row in report["tiers"])
    assert clicks >= len(QUESTIONS)
    assert sum(row["clicked_by_token"]["count"] for row in report["tiers"]) == clicks
    dead = [example for row in report["tiers"] for example in row["examples"] if example["why"] != "no_row"]
    assert dead == []


def test_no_pill_says_what_was_asked_or_shown_before(report: dict[str, Any]) -> None:
    assert [row["duplicates"]["count"] for row in report["tiers"]] == [0, 0]


def test_an_employee_without_reports_is_offered_nothing_about_others(suite: Any) -> None:
    events = suite.ask("How many leave days do I have left?", "--as", "employee")
    pills = [event["text"] for event in events if event["event"] == "pill"]
    assert pills
    assert not [text for text in pills if "team" in text or "department" in text or text.startswith("Who")]


def test_a_question_in_a_language_that_the_pack_lacks_is_answered_without_pills(suite: Any) -> None:
    events = suite.ask("Wer hat dieses Jahr am meisten Urlaub genommen?")
    assert "pill" not in [event["event"] for event in events]
    receipt = next(event for event in events if event["event"] == "receipt")
    assert receipt["pills_missing_cause"] == "language"
    assert "suggest" not in [entry["tag"] for entry in receipt["cost"].get("per_tag", [])]


def test_a_click_in_a_terminal_goes_by_the_pill_and_an_invented_token_is_classified(suite: Any) -> None:
    events = suite.ask("Who applied for the most leave this year?")
    pill = next(event for event in events if event["event"] == "pill")
    conversation = ("--conversation", events[0]["conversation_id"])
    clicked = suite.ask(pill["text"], *conversation, "--pill", pill["token"])
    assert clicked[0]["scores"]["intent"]["stage"] == "pill"
    forged = suite.ask(pill["text"], *conversation, "--pill", pill["token"][:-4] + "AAAA")
    assert forged[0]["scores"]["intent"]["stage"] != "pill"
