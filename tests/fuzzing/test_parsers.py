"""The parsers of untrusted text under generated text; `make fuzz` adds time and a coverage-guided fuzzer."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzzing.target import Target
from tests.fuzzing.targets import TARGETS

LONG = float(os.environ.get("TIERMESH_FUZZ_SECONDS", "0"))
_PROGRESS = re.compile(r"cov: (\d+) .*corp: (\d+)/\S+.* rss: (\d+)Mb")
_GROWTH_MB = 300
_EXAMPLES = 150 if not LONG else int(150 * max(1.0, LONG / 25))


def texts(target: Target) -> st.SearchStrategy[str]:
    """Any text, and text made of whole seeds and pieces of them."""
    whole = st.sampled_from(target.seeds)
    piece = st.builds(lambda seed, start, end: seed[min(start, end) : max(start, end)], whole, _PLACE, _PLACE)
    mixed = st.lists(st.one_of(whole, whole, piece, st.text(max_size=20)), max_size=8).map("".join)
    return st.one_of(st.text(max_size=400), mixed, mixed)


_PLACE = st.integers(0, 120)


@pytest.mark.timeout(120 + 4 * LONG)
@pytest.mark.parametrize("name", TARGETS)
def test_no_text_breaks_a_parser(name: str) -> None:
    target = TARGETS[name]

    @settings(max_examples=_EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(texts(target))
    def feed(text: str) -> None:
        target.feed(text)

    feed()


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_gets_through_its_own_seeds(name: str) -> None:
    target = TARGETS[name]
    for text in (*target.seeds, "".join(target.seeds)):
        target.feed(text)


@pytest.mark.skipif(not LONG, reason="the coverage-guided fuzzer runs on demand: make fuzz SECONDS=600")
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed (tests/fuzzing)")
@pytest.mark.timeout(300 + 4 * LONG)
@pytest.mark.parametrize("name", TARGETS)
def test_the_coverage_guided_fuzzer_finds_nothing(name: str, tmp_path: Path) -> None:
    seconds = max(10, int(LONG / len(TARGETS)))
    command = [sys.executable, "-m", "tests.fuzzing.coverage_guided", name, str(tmp_path), str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    print("\n".join(done.stderr.splitlines()[-4:]))
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    first, last = _PROGRESS.findall(done.stderr)[0], _PROGRESS.findall(done.stderr)[-1]
    assert int(last[0]) > 5, f"hardly a line was instrumented: {last}"
    assert int(last[1]) > 1, f"nothing new was found by coverage: {last}"
    assert int(last[2]) - int(first[2]) < _GROWTH_MB, f"memory grew from {first[2]} to {last[2]} MB"
