"""What makes tier 1 hand over before anything is shown, and what does not."""

import json
from collections.abc import Awaitable, Callable

import pytest
from tiermesh.executor.v1 import executor_service_pb2 as pb
from tiermesh_executor.bounce.confidence import StatedConfidence
from tiermesh_executor.bounce.language import language_of
from tiermesh_executor.bounce.names import Known, ungrounded_names
from tiermesh_executor.models.events import StopReason
from tiermesh_executor.models.provider import ErrorKind, ProviderError
from tiermesh_executor.models.request import TextPart
from tiermesh_executor.testing import Backend, Client, ScriptedProvider, calls, nobody, says, scores

Deploy = Callable[..., Awaitable[Client]]
BALANCE = ("leave_balance", {})
OPUS = "claude-opus-5-5"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("How many leave days do I have left?", "en"),
        ("You have 24.5 days left.", "en"),
        ("Wie viele Urlaubstage habe ich noch?", "de"),
        ("Sie haben noch 24,5 Tage.", "de"),
        ("Combien de jours de congé me reste-t-il ?", ""),
        ("Il vous reste 24,5 jours et vous avez une demande.", "fr"),
        ("¿Cuántos días me quedan y cuándo tengo que pedirlos?", "es"),
        ("Сколько дней отпуска у меня осталось?", "CYRILLIC"),
        ("年休は何日残っていますか", "CJK"),
        ("Anna Schmidt: 24.5", ""),
        ("OK", ""),
        ("", ""),
        ("12 + 12 = 24", ""),
    ],
)
def test_a_language_is_named_only_where_it_is_plain(text: str, language: str) -> None:
    assert language_of(text) == language


@pytest.mark.parametrize(
    ("sentence", "names"),
    [
        ("Anna Schmidt took 24.5 days.", []),
        ("Anna Schmidt's balance is 24.5 days.", []),
        ("Mark Miller took the most leave.", ["Mark Miller"]),
        ("It was Jürgen O'Neill-Meyer who took it.", ["Jürgen O'Neill-Meyer"]),
        ("The Annual Leave of Anna is 24.5 days.", []),
        ("Your Total Leave is 24.5 days.", []),
        ("Anna and Ben have the same.", []),
        ("Carry-over ends in March.", []),
        ("Team B2 in Q3 had none.", []),
        ("It was booked for New Year and Labour Day.", []),
        ("Ask Human Resources about it.", []),
    ],
)
def test_only_what_is_plainly_a_made_up_name_is_one(sentence: str, names: list[str]) -> None:
    assert ungrounded_names(sentence, Known(["Anna Schmidt", "Leave balance", "annual"])) == names


@pytest.mark.parametrize(
    ("pieces", "value", "text"),
    [
        (["<confidence>0.85</confidence>It is so."], 0.85, "It is so."),
        (["<conf", "idence>.4</confi", "dence>\n", "It", " is so."], 0.4, "It is so."),
        (["It is so."], None, "It is so."),
        (["<b>It</b> is so."], None, "<b>It</b> is so."),
        (["<confidence>very</confidence>It is so."], None, "<confidence>very</confidence>It is so."),
        (["<confidence>1</confidence>"], 1.0, ""),
        (["<conf"], None, "<conf"),
    ],
)
def test_a_stated_confidence_is_read_and_taken_off(pieces: list[str], value: float | None, text: str) -> None:
    stated = StatedConfidence()
    assert "".join(stated.feed(piece) for piece in pieces).lstrip() + stated.end() == text
    assert stated.value == value


async def test_an_answer_in_another_language_than_the_question_bounces(deploy: Deploy) -> None:
    provider = ScriptedProvider(calls(BALANCE), says("Sie haben noch 24,5 Tage. ", "Schön."))
    answer = await (await deploy(provider)).execute("How many leave days do I have left?")
    assert (answer.bounce.cause, answer.bounce.redirect) == ("wrong_language", pb.Bounce.REDIRECT_NEXT_TIER)
    assert answer.text == ""
    assert [one.tool for one in answer.bounce.look_ups] == ["leave_balance"], "what was found goes along"


async def test_a_person_whom_the_data_does_not_know_bounces(deploy: Deploy) -> None:
    provider = ScriptedProvider(calls(BALANCE), says("Mark Miller has 24.5 days. ", "Ask him."))
    answer = await (await deploy(provider)).execute()
    assert answer.bounce.cause == "ungrounded"
    assert "Miller" not in answer.bounce.detail, "no name goes into a reason"


async def test_names_of_the_question_and_of_passages_are_known(deploy: Deploy) -> None:
    provider = ScriptedProvider(calls(("search_handbook", {"query": "x"})), says("Mark Miller may carry over 5 days. "))
    answer = await (await deploy(provider)).execute("May Mark Miller carry over?", scores=scores("leave.policy"))
    assert answer.done.answer.complete


@pytest.mark.parametrize(("stated", "bounces"), [("0.4", True), ("0.9", False), (None, False)])
async def test_a_confidence_below_the_limit_bounces_and_is_never_shown(
    deploy: Deploy, stated: str | None, bounces: bool
) -> None:
    text = f"<confidence>{stated}</confidence> You have 24.5 days." if stated else "You have 24.5 days."
    provider = ScriptedProvider(calls(BALANCE), says(*text))
    answer = await (await deploy(provider)).execute(least_stated_confidence=0.7)
    asked = [part.text for part in provider.requests[0].prompt.messages[-1].parts if isinstance(part, TextPart)]
    assert any("<confidence>" in text for text in asked)
    assert "confidence" not in answer.text
    assert answer.done.answer.complete is not bounces
    if bounces:
        assert answer.bounce.cause == "low_confidence"


async def test_no_confidence_is_asked_for_where_nobody_wants_it(deploy: Deploy) -> None:
    provider = ScriptedProvider(says("You have none. "))
    await (await deploy(provider)).execute()
    assert "<confidence>" not in str(provider.requests[0].prompt)


async def test_a_tier_that_does_not_begin_in_time_hands_over(deploy: Deploy) -> None:
    slow = [ProviderError(ErrorKind.SLOW_FIRST_TOKEN, "too slow")]
    answer = await (await deploy(ScriptedProvider(calls(BALANCE), slow, slow))).execute()
    assert answer.bounce.cause == "slow_first_token"
    assert answer.bounce.look_ups


def verdict(word: str) -> str:
    return json.dumps({"verdict": word, "reason": "It fits."})


async def test_a_judge_one_tier_up_reads_the_answer_before_any_of_it_is_released(deploy: Deploy) -> None:
    provider = ScriptedProvider(calls(BALANCE), says("You have 24.5 days. ", "Enjoy."), says(verdict("pass")))
    answer = await (await deploy(provider)).execute(judge_before_release=True)
    assert answer.text == "You have 24.5 days. Enjoy."
    assert answer.done.answer.complete
    assert [entry.tag for entry in answer.done.ledger] == ["answer-simple", "answer-simple", "judge"]
    asked = provider.requests[-1]
    assert asked.model == OPUS
    assert "<answer>\nYou have 24.5 days. Enjoy.\n</answer>" in str(asked.prompt.messages[-1].parts[-1].text)
    assert answer.done.answer.model != OPUS, "the one that answered is named"


@pytest.mark.parametrize("said", [verdict("fail"), verdict("maybe"), "not json", "", "[1]"])
async def test_what_the_judge_does_not_pass_readably_bounces_unseen(deploy: Deploy, said: str) -> None:
    provider = ScriptedProvider(calls(BALANCE), says("You have 24.5 days."), says(said))
    answer = await (await deploy(provider)).execute(judge_before_release=True)
    assert answer.bounce.cause == "judge"
    assert answer.text == ""
    assert answer.of("table") == []


async def test_no_verdict_at_all_bounces_too(deploy: Deploy) -> None:
    refused = says("", stop=StopReason.REFUSED)
    for end in (refused, [ProviderError(ErrorKind.NOT_AVAILABLE, "gone")]):
        provider = ScriptedProvider(calls(BALANCE), says("You have 24.5 days."), end)
        answer = await (await deploy(provider, tier=1)).execute(judge_before_release=True)
        assert answer.bounce.cause == "judge"


async def test_tier_2_is_not_judged_before_its_release(deploy: Deploy) -> None:
    provider = ScriptedProvider(says("You have 24.5 days."))
    answer = await (await deploy(provider, tier=2)).execute(judge_before_release=True)
    assert answer.done.answer.complete


async def test_that_somebody_cannot_be_found_is_an_answer_and_no_bounce(deploy: Deploy, backend: Backend) -> None:
    backend.answer = nobody("Adeline")
    provider = ScriptedProvider(calls(BALANCE), says("I couldn't find anybody called Adeline. "))
    answer = await (await deploy(provider)).execute("How many days does Adeline have left?")
    assert not answer.of("bounce")
    assert answer.text == "I couldn't find anybody called Adeline. "
    assert answer.done.answer.complete


async def test_a_cannot_about_something_else_is_a_bounce_all_the_same(deploy: Deploy, backend: Backend) -> None:
    backend.answer = nobody("Adeline")
    provider = ScriptedProvider(calls(BALANCE), says("I cannot say how long that takes. "))
    answer = await (await deploy(provider)).execute("How many days does Adeline have left?")
    assert answer.bounce.cause == "cannot"


async def test_two_people_who_cannot_be_found_are_no_calls_that_went_wrong(deploy: Deploy, backend: Backend) -> None:
    backend.answer = nobody("Adeline")
    both = calls(("leave_balance", {"employee": "Adeline"}), ("leave_balance", {"employee": "Adeline Jr"}))
    provider = ScriptedProvider(both, says("I could not find Adeline. "))
    answer = await (await deploy(provider)).execute("How many days do Adeline and Adeline Jr have left?")
    assert not answer.of("bounce")
    assert answer.done.answer.complete
