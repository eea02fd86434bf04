"""Prints the fault matrix; ends with 1 when something is not as expected. `make faults`."""

import asyncio
import logging
import sys

import structlog

from tests.faults import executor_faults
from tests.faults.matrix import run_all, table

# Each gives cases; see `matrix`.
SOURCES = (executor_faults.cases,)


def main() -> int:
    """Run all cases."""
    # What fails on purpose is no news.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    rows = asyncio.run(run_all([case for source in SOURCES for case in source()], at_once=8))
    print(table(rows))
    wrong = sum(bool(row.problems) for row in rows)
    print(f"\n{len(rows)} cases, {len(rows) - wrong} as expected, {wrong} not")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
