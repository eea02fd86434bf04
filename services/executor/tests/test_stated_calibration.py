"""What a model's word has been worth decides the bounce; a calibration of another model or prompt is refused."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tiermesh_executor.bounce.calibration import Calibration, asked_with, load_calibration
from tiermesh_executor.configuration import ConfigurationError
from tiermesh_executor.models.events import TextDelta
from tiermesh_executor.testing import Client, ScriptedProvider, calls, says
from tiermesh_runtime.startup import StartupError

Deploy = Callable[..., Awaitable[Client]]
HAIKU, ASKED = "claude-haiku-5-5", asked_with("answer-1")
BALANCE = ("leave_balance", {})


def written(folder: Path, **changes: Any) -> Path:
    """A calibration by which 0.9 has been right in 60 of 100 answers, and only certainty in 95."""
    document = {
        "format": "tiermesh-stated-confidence-1",
        "prompt_version": ASKED,
        "curves": {HAIKU: {"stated": [0.5, 0.9, 1.0], "right": [0.3, 0.6, 0.95]}},
        "provenance": {},
    }
    path = folder / "stated.json"
    path.write_text(json.dumps(document | changes))
    return path


@pytest.mark.parametrize(
    ("stated", "right"), [(0.2, 0.3), (0.5, 0.3), (0.7, 0.45), (0.9, 0.6), (0.95, 0.775), (1.0, 0.95)]
)
def test_between_its_knots_a_curve_is_straight_and_beyond_level(tmp_path: Path, stated: float, right: float) -> None:
    calibration = load_calibration(written(tmp_path), models={HAIKU}, prompt_version="answer-1")
    said = calibration.read(stated, HAIKU, "answer-1")
    assert said.calibrated == pytest.approx(right)
    assert said.calibration_version == calibration.version


def test_of_a_model_that_nobody_measured_nothing_is_said(tmp_path: Path) -> None:
    calibration = load_calibration(written(tmp_path), models={HAIKU}, prompt_version="answer-1")
    for said in (calibration.read(0.9, "other", "answer-1"), Calibration().read(0.9, HAIKU, "answer-1")):
        assert (said.calibrated, said.calibration_version, said.stated) == (None, "", 0.9)


@pytest.mark.parametrize(("calibrated", "bounces"), [(True, True), (False, False)])
async def test_the_bounce_goes_by_what_the_word_has_been_worth(
    deploy: Deploy, tmp_path: Path, calibrated: bool, bounces: bool
) -> None:
    provider = ScriptedProvider(calls(BALANCE), says("<confidence>0.9</confidence> You have 24.5 days."))
    fields = {"stated_calibration": written(tmp_path)} if calibrated else {}
    answer = await (await deploy(provider, **fields)).execute(least_right_confidence=0.8)
    assert answer.done.answer.complete is not bounces
    said = answer.done.stated_confidence
    assert (said.stated, said.model, said.prompt_version) == (0.9, HAIKU, ASKED)
    assert said.HasField("calibrated") is calibrated
    if bounces:
        assert answer.bounce.cause == "low_confidence"
        assert "been worth 0.60" in answer.bounce.detail
        assert said.calibrated == pytest.approx(0.6)
        assert said.calibration_version.startswith("stated-")


async def test_the_word_of_a_call_that_turned_to_its_tools_is_not_the_answers(deploy: Deploy, tmp_path: Path) -> None:
    early = [TextDelta("<confidence>0.1</confidence> I look it up."), *calls(BALANCE)]
    provider = ScriptedProvider(early, says("<confidence>1.0</confidence> You have 24.5 days."))
    deployed = await deploy(provider, stated_calibration=written(tmp_path))
    answer = await deployed.execute(least_right_confidence=0.9)
    assert answer.done.answer.complete
    assert answer.done.stated_confidence.calibrated == pytest.approx(0.95)


async def test_where_nobody_asks_nothing_is_stated(deploy: Deploy) -> None:
    answer = await (await deploy(ScriptedProvider(says("You have none. ")))).execute()
    assert not answer.done.HasField("stated_confidence")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"prompt_version": "answer-1+confidence-0"}, "answer-1\\+confidence-0.*tiermesh calibrate"),
        ({"curves": {"gpt-9": {"stated": [0.5], "right": [0.5]}}}, "curves.gpt-9.*claude-haiku-5-5"),
        ({"curves": {HAIKU: {"stated": [0.5, 0.4], "right": [0.1, 0.2]}}}, "must rise"),
        ({"curves": {HAIKU: {"stated": [0.4, 0.5], "right": [0.3, 0.2]}}}, "must rise"),
        ({"curves": {HAIKU: {"stated": [0.4], "right": [1.2]}}}, "curves"),
        ({"curves": {}}, "curves"),
        ({"format": "else"}, "format"),
    ],
)
async def test_a_calibration_that_does_not_belong_here_is_refused_at_start(
    deploy: Deploy, tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(StartupError, match=told):
        await deploy(ScriptedProvider(), stated_calibration=written(tmp_path, **changes))


def test_a_file_that_is_no_json_is_told(tmp_path: Path) -> None:
    path = tmp_path / "stated.json"
    path.write_text("{")
    with pytest.raises(ConfigurationError, match="JSON"):
        load_calibration(path, models={HAIKU}, prompt_version="answer-1")
