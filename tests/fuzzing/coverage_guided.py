"""Runs one target under atheris: `python -m tests.fuzzing.coverage_guided TARGET CORPUS SECONDS`."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import atheris
import structlog

# By the whole name of a package: a beginning of one instruments nothing.
_PLACES = ("*/src/tiermesh_*", "*/*/src/tiermesh_*")
_OURS = sorted({path.name for place in _PLACES for path in Path(__file__).parents[2].glob(place)})

with atheris.instrument_imports(include=[*_OURS, "graphql", "markdown_it", "jwt"]):
    from tests.fuzzing.targets import TARGETS

_MOST_BYTES = 2_000
_MOST_MEMORY_MB = 1_500


def main() -> None:
    """Feed the target until the time is over; a crash ends the process with another code than 0."""
    # What is refused is told thousands of times a second.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    name, corpus, seconds = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    target = TARGETS[name]
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(seed.encode("utf-8", "surrogatepass"))

    def feed(data: bytes) -> None:
        target.feed(data.decode("utf-8", "replace"))

    options = [
        f"-max_total_time={seconds}",
        f"-max_len={_MOST_BYTES}",
        "-timeout=20",
        f"-rss_limit_mb={_MOST_MEMORY_MB}",
    ]
    atheris.Setup([sys.argv[0], str(corpus), *options, f"-artifact_prefix={corpus}/"], feed)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
