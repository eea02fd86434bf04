"""Acts out every fault and prints what came of it; ends with 1 when something is not as it must be. `make faults`.

Four parts: `providers` (one executor against every fault of a provider), `suite` (all services as processes under a
load of questions), `replicas` (two of each in network namespaces), `elsewhere` (tests that live with a service).
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import structlog

from tests.faults import executor_faults
from tests.faults.matrix import run_all, table
from tests.faults.suite import (
    catalogue_clients,
    catalogue_network,
    catalogue_processes,
    elsewhere,
    namespaces,
    replicated,
    report,
)
from tests.faults.suite.acting import Row
from tests.faults.suite.checker import Finding
from tests.faults.suite.deployment import PROJECT
from tests.faults.suite.running import run
from tests.faults.suite.stage import stage

# Each gives cases of providers' faults; see `matrix`.
SOURCES = (executor_faults.cases,)
# Each gives faults of the suite; see `suite.acting`.
CATALOGUES = (catalogue_processes.faults, catalogue_network.faults, catalogue_clients.faults)
PARTS = ("providers", "suite", "replicas", "elsewhere")


def main() -> int:
    """Run what was asked for."""
    options = _options()
    # Whoever ends it gets its processes, mounts and namespaces taken away, too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # What fails on purpose is no news.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    parts = options.part or PARTS
    began, wrong = time.monotonic(), 0
    if "providers" in parts:
        wrong += _providers(options.only)
    rows: list[Row] = []
    others: list[Finding] = []
    questions = 0
    for part, faults, setting, why_not in (
        ("suite", [fault for source in CATALOGUES for fault in source()], stage, ""),
        ("replicas", list(replicated.faults()), replicated.replicated_stage, namespaces.impossible()),
    ):
        wanted = [fault for fault in faults if options.only.lower() in fault.name.lower()] if part in parts else []
        if why_not:
            rows += [Row(fault.number, fault.name, fault.must, skipped=why_not) for fault in wanted]
        elif wanted:
            outcome = run(wanted, setting=setting, seconds=options.seconds, tell=_tell)
            rows += outcome.rows
            others += outcome.others
            questions += outcome.questions
    if "elsewhere" in parts:
        rows += _elsewhere(options.only)
    if rows:
        print("\n" + report.table(rows))
        print("\n" + report.summary(rows, others, questions, time.monotonic() - began))
        report.write(rows, others, questions, options.out)
    return 1 if wrong or others or any(row.problems for row in rows) else 0


def _providers(only: str) -> int:
    cases = [case for source in SOURCES for case in source() if only.lower() in str(case.title).lower()]
    rows = asyncio.run(run_all(cases, at_once=8))
    wrong = sum(bool(row.problems) for row in rows)
    if rows:
        print(table(rows))
        print(f"\n{len(rows)} cases, {len(rows) - wrong} as expected, {wrong} not")
    return wrong


def _elsewhere(only: str) -> Sequence[Row]:
    rows = []
    for case in elsewhere.CASES:
        if only.lower() in case.fault.lower():
            rows.append(case.run())
            _tell(rows[-1])
    return rows


def _tell(row: Row) -> None:
    print("  ".join(report.line(row)), flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--only", default="", help="faults whose name holds these words")
    parser.add_argument("--part", action="append", choices=PARTS, help="this part alone; may be given several times")
    parser.add_argument("--seconds", type=float, help="time between breaking and mending, for every fault")
    parser.add_argument("--out", type=Path, default=PROJECT / "bench" / "results", help="folder of JSON and picture")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
