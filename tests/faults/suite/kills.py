"""Kills gateway, insights and database at random under a load of questions: `python -m tests.faults.suite.kills`.

Every question that was accepted has to be in the decision log once, with one ending and one booking per model call.
What is killed next does not wait for the spools to be empty. `tests.faults.kills` does the same to the recording path
alone, at thousands of records a second.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence

from tests.faults.suite.acting import Fault, Row
from tests.faults.suite.catalogue_processes import database_killed, killed
from tests.faults.suite.running import Outcome, run

_MUST = "whole or a clear error, and in the log once"
_ACTS = {"gateway": killed("gateway"), "insights": killed("insights"), "database": database_killed}


def kills(count: int, seed: int) -> Iterator[Fault]:
    """Give that many kills, each of one of the three."""
    chance = random.Random(seed)
    for number in range(1, count + 1):
        name = chance.choice(sorted(_ACTS))
        # Down for as long as a restart takes, or somewhat longer.
        hold = chance.uniform(0.0, 1.0)
        yield Fault("1", f"kill {number} of {count}: {name}", _MUST, _ACTS[name], hold=hold, recovered_within=20.0)


def main() -> int:
    """Kill, and say what came of it; 1 when anything was lost, counted twice, or hung."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.suite.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    faults = list(kills(options.kills, options.seed))
    outcome = run(faults, tell=_tell)
    print(summary(faults, outcome))
    return 0 if outcome.good else 1


def summary(faults: Sequence[Fault], outcome: Outcome) -> str:
    """Return the outcome in words."""
    killed_ones = Counter(fault.name.rpartition(": ")[2] for fault in faults)
    problems = [f"  {row.fault}: {problem}" for row in outcome.rows for problem in row.problems]
    problems += [f"  {finding}" for finding in outcome.others]
    lines = [
        "killed: " + ", ".join(f"{name} {count}" for name, count in sorted(killed_ones.items())),
        f"questions {outcome.questions}, of them beside a kill {sum(row.tries for row in outcome.rows)}: "
        f"{sum(row.complete for row in outcome.rows)} whole, {sum(row.clear for row in outcome.rows)} clear errors, "
        f"{sum(row.hung for row in outcome.rows)} hung, {sum(row.lost for row in outcome.rows)} lost",
        "every promise held" if outcome.good else "\n".join(["broken:", *problems]),
    ]
    return "\n".join(lines)


def _tell(row: Row) -> None:
    print(f"{row.fault}: {row.tries} under way, {row.complete} whole, {row.clear} clear errors", flush=True)


if __name__ == "__main__":
    sys.exit(main())
