"""Who is tried next and who is left alone: the breaker and the plan of attempts, on a clock of their own."""

from dataclasses import dataclass

import pytest
from tiermesh_executor.models.attempts import MAX_ATTEMPTS, Attempts, Option
from tiermesh_executor.models.breaker import FAILURES, LONGEST_OPEN_SECONDS, OPEN_SECONDS, Breaker, State
from tiermesh_executor.models.provider import ErrorKind, ProviderError
from tiermesh_executor.tags import Candidate


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(clock, jitter=lambda: 1.0)


def error(kind: ErrorKind = ErrorKind.SERVER, retry_after: float | None = None) -> ProviderError:
    return ProviderError(kind, f"it was {kind}", retry_after=retry_after)


def fail(breaker: Breaker, times: int = 1) -> None:
    for _ in range(times):
        breaker.failed(breaker.enter(), error())


def test_it_opens_after_failures_in_a_row_and_not_before(breaker: Breaker) -> None:
    fail(breaker, FAILURES - 1)
    assert breaker.wait() == 0
    fail(breaker)
    assert breaker.state is State.OPEN
    assert breaker.wait() == OPEN_SECONDS


def test_a_model_that_flaps_opens_it_too(breaker: Breaker) -> None:
    for _ in range(FAILURES):
        breaker.succeeded(breaker.enter())
        fail(breaker)
    assert breaker.state is State.OPEN


def test_a_few_failures_among_many_answers_do_not_open_it(breaker: Breaker) -> None:
    for _ in range(100):
        for _ in range(3):
            breaker.succeeded(breaker.enter())
        fail(breaker)
    assert breaker.state is State.CLOSED


def test_failures_of_long_ago_do_not_count(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, FAILURES - 1)
    clock.now += 61
    fail(breaker, FAILURES - 1)
    assert breaker.state is State.CLOSED


def test_one_probe_goes_through_and_an_answer_closes_it(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, FAILURES)
    clock.now += OPEN_SECONDS
    assert breaker.wait() == 0
    probe = breaker.enter()
    assert breaker.wait() > 0, "a second call is not let through beside the probe"
    breaker.succeeded(probe)
    assert breaker.state is State.CLOSED
    fail(breaker, FAILURES - 1)
    assert breaker.state is State.CLOSED, "the old failures are forgotten"


def test_a_failed_probe_opens_it_for_longer_up_to_a_limit(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, FAILURES)
    waits = []
    for _ in range(6):
        clock.now += breaker.wait()
        fail(breaker)
        waits.append(breaker.wait())
    assert waits[:2] == [2 * OPEN_SECONDS, 4 * OPEN_SECONDS]
    assert waits[-1] == LONGEST_OPEN_SECONDS


def test_a_probe_that_is_cancelled_leaves_the_next_call_to_probe(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, FAILURES)
    clock.now += OPEN_SECONDS
    breaker.abandoned(breaker.enter())
    assert breaker.wait() == 0
    breaker.succeeded(breaker.enter())
    assert breaker.state is State.CLOSED


def test_what_was_under_way_when_it_opened_neither_closes_nor_prolongs_it(breaker: Breaker, clock: Clock) -> None:
    early, late = breaker.enter(), breaker.enter()
    fail(breaker, FAILURES)
    breaker.succeeded(early)
    assert breaker.state is State.OPEN
    clock.now += OPEN_SECONDS
    probe = breaker.enter()
    breaker.failed(late, error())
    assert breaker.state is State.HALF_OPEN
    breaker.succeeded(probe)
    assert breaker.state is State.CLOSED


def test_patience_that_a_provider_asks_for_is_everybodys_and_bounded(breaker: Breaker, clock: Clock) -> None:
    breaker.rest(30)
    assert breaker.wait() == 30
    breaker.rest(100_000)
    assert breaker.wait() == LONGEST_OPEN_SECONDS


def option(clock: Clock, model: str, window: int = 1_000) -> Option:
    return Option(Candidate(provider="anthropic", model=model), Breaker(clock, jitter=lambda: 1.0), window)


def order(clock: Clock, options: list[Option], *failures: ProviderError, remaining: float = 60) -> list[str]:
    """The models in the order of the attempts, while each fails in its turn."""
    plan = Attempts(options, clock, jitter=lambda: 1.0)
    tried = []
    for failure in failures:
        attempt = plan.next(remaining)
        if attempt is None:
            break
        clock.now += attempt.pause
        tried.append(attempt.option.candidate.model)
        plan.failed(attempt.option, failure)
    return tried


def test_passing_faults_are_tried_again_with_a_growing_pause_and_then_left(clock: Clock) -> None:
    assert order(clock, [option(clock, "a"), option(clock, "b")], *[error()] * 9) == ["a", "a", "b", "b"]


def test_a_silent_model_is_not_asked_again(clock: Clock) -> None:
    silent = error(ErrorKind.SLOW_FIRST_TOKEN)
    assert order(clock, [option(clock, "a"), option(clock, "b")], *[silent] * 9) == ["a", "b"]


def test_a_cut_goes_to_the_others_first_and_comes_back_last(clock: Clock) -> None:
    cut = error(ErrorKind.TRUNCATED)
    assert order(clock, [option(clock, "a"), option(clock, "b")], *[cut] * 9) == ["a", "b", "a", "b"]
    assert order(clock, [option(clock, "a")], *[cut] * 9) == ["a", "a"]


def test_attempts_end_whatever_happens(clock: Clock) -> None:
    many = [option(clock, str(number)) for number in range(9)]
    assert len(order(clock, many, *[error()] * 20)) == MAX_ATTEMPTS


def test_long_patience_is_had_only_when_the_others_have_failed(clock: Clock) -> None:
    asked = error(ErrorKind.RATE_LIMITED, retry_after=10)
    options = [option(clock, "a"), option(clock, "b")]
    began = clock.now
    assert order(clock, options, asked, error(ErrorKind.NOT_AVAILABLE), error()) == ["a", "b", "a"]
    assert clock.now - began == 10


def test_patience_beyond_the_deadline_is_not_waited_for(clock: Clock) -> None:
    asked = error(ErrorKind.RATE_LIMITED, retry_after=10)
    assert order(clock, [option(clock, "a")], asked, asked, remaining=9) == ["a"]


def test_too_long_a_context_leaves_only_larger_windows(clock: Clock) -> None:
    options = [option(clock, "a", 200), option(clock, "b", 200), option(clock, "c", 1_000), option(clock, "d", 100)]
    assert order(clock, options, error(ErrorKind.CONTEXT_TOO_LONG), *[error(ErrorKind.STALLED)] * 5) == ["a", "c"]


def test_a_model_whose_circuit_is_open_is_passed_over(clock: Clock) -> None:
    first, second = option(clock, "a"), option(clock, "b")
    fail(first.breaker, FAILURES)
    plan = Attempts([first, second], clock)
    attempt = plan.next(60)
    assert attempt is not None
    assert attempt.option is second


def test_when_all_circuits_are_open_the_last_cause_is_known_and_nobody_is_asked(clock: Clock) -> None:
    only = option(clock, "a")
    fail(only.breaker, FAILURES)
    plan = Attempts([only], clock)
    assert plan.next(60) is None
    why = plan.turned_away()
    assert why is not None
    assert (why.kind, why.retry_after) == (ErrorKind.SERVER, OPEN_SECONDS)
