"""Faults whose tests live with the service that they are about: run from here, so that the table is whole."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.faults.suite.acting import Row
from tests.faults.suite.deployment import PROJECT

_COUNTS = re.compile(r"(\d+) (passed|failed|error|errors|skipped)")
_RUNTIME = "packages/runtime/tests"
_INTERCEPTORS = f"{_RUNTIME}/test_interceptors"
_GATEWAY = "services/gateway/tests"
_AGGREGATOR = "services/aggregator/tests"


@dataclass(frozen=True)
class Elsewhere:
    """Tests that hold one of the 25."""

    number: str
    fault: str
    must: str
    tests: Sequence[str]

    def run(self) -> Row:
        """Run them; each is a try."""
        began = time.monotonic()
        command = [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", *self.tests]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
        counts = {word: int(number) for number, word in _COUNTS.findall(done.stdout.splitlines()[-1])}
        passed, skipped = counts.get("passed", 0), counts.get("skipped", 0)
        problems = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
        if done.returncode and not problems:
            # The table is kept: where it was made is nobody's business.
            problems.append((done.stdout[-500:] + done.stderr[-500:]).replace(f"{PROJECT}/", ""))
        if not passed:
            problems.append("no test ran")
        outcome = f"{passed} tests in {time.monotonic() - began:.0f} s" + (f", {skipped} skipped" if skipped else "")
        return Row(self.number, self.fault, self.must, outcome, passed, passed, problems=problems)


# What is proven in a service's own tests.
CASES: Sequence[Elsewhere] = (
    Elsewhere(
        "6",
        "what is left of a deadline",
        "travels from hop to hop, refused when too little",
        (
            f"{_INTERCEPTORS}_hops.py::test_what_is_left_of_the_deadline_travels_from_hop_to_hop",
            f"{_RUNTIME}/test_deadlines.py",
            f"{_GATEWAY}/test_trouble.py::test_a_stalled_executor_ends_with_the_deadline_told_in_time",
        ),
    ),
    Elsewhere(
        "7",
        "a reader that stops",
        "holds up the executor; memory is bounded",
        (f"{_GATEWAY}/test_trouble.py::test_a_reader_that_stops_reading_holds_up_its_executor_and_nobody_else",),
    ),
    Elsewhere(
        "9",
        "a model that fails and is well again",
        "its circuit opens, one probe closes it",
        ("services/executor/tests/test_breaker.py",),
    ),
    Elsewhere(
        "10",
        "mixed load beyond capacity",
        "pills go first, then speculation, then new questions",
        (f"{_GATEWAY}/test_admission.py",),
    ),
    Elsewhere(
        "11, 12",
        "a client that goes away",
        "every hop stops within 200 ms; a stream that is left is cancelled",
        (
            f"{_GATEWAY}/test_trouble.py::test_a_client_that_goes_away_stops_every_hop_within_200_ms",
            f"{_INTERCEPTORS}_deadlines.py::test_a_stream_that_is_left_is_cancelled_and_its_generator_closed",
            f"{_INTERCEPTORS}_deadlines.py::test_wait_for_around_a_unary_call_cancels_the_handler",
        ),
    ),
    Elsewhere(
        "13",
        "a handler raises CancelledError",
        "INTERNAL at once, never a hang",
        (
            f"{_INTERCEPTORS}_errors.py::test_a_cancelled_error_that_nobody_caused_is_an_internal_error_at_once",
            f"{_INTERCEPTORS}_errors.py::test_an_error_inside_a_task_group_keeps_its_type",
        ),
    ),
    Elsewhere(
        "14",
        "a handler raises with a secret",
        "a fixed sentence and the request id",
        (f"{_INTERCEPTORS}_errors.py::test_an_unknown_exception_tells_the_caller_nothing_but_the_request_id",),
    ),
    Elsewhere(
        "21",
        "statements that reach out or never end",
        "denied, timed out, cancelled; others unharmed",
        (f"{_AGGREGATOR}/test_engines.py",),
    ),
    Elsewhere(
        "22",
        "a full pool, a cut connection",
        "told, and recovers",
        (
            f"{_AGGREGATOR}/test_row_security.py::test_a_full_pool_is_told_and_recovers",
            f"{_AGGREGATOR}/test_row_security.py::test_a_connection_cut_in_the_middle_is_told_and_the_pool_recovers",
        ),
    ),
    Elsewhere(
        "23",
        "a dead collector at shutdown",
        "delays neither requests nor the end",
        (f"{_RUNTIME}/test_server_telemetry.py::test_a_dead_collector_delays_neither_requests_nor_the_end",),
    ),
    Elsewhere(
        "24",
        "a newer peer's words",
        "an unknown reason is passed on, an unknown event is no error",
        (
            f"{_RUNTIME}/test_errors.py::test_a_reason_of_a_newer_server_is_passed_on",
            "packages/client/tests/test_events.py::test_an_event_of_a_newer_gateway_is_unknown_and_no_error",
        ),
    ),
    Elsewhere(
        "25",
        "many streams, some cancelled",
        "no tasks and sockets left behind (make soak: 10,000)",
        ("tests/faults/test_soak.py",),
    ),
)
