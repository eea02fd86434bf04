"""Every target by its name."""

from __future__ import annotations

from collections.abc import Mapping

from tests.fuzzing.files import FILES
from tests.fuzzing.parsers import PARSERS
from tests.fuzzing.target import Target
from tests.fuzzing.wire import WIRE

TARGETS: Mapping[str, Target] = {each.name: each for each in (*PARSERS, *WIRE, *FILES)}
