"""gRPC ignores an option whose name it does not know: every name we set must be one that the library has."""

from __future__ import annotations

from pathlib import Path

import pytest
from grpc._cython import cygrpc
from tiermesh_runtime import channels, server

CORE = Path(cygrpc.__file__).read_bytes()
NAMES = {name for name, _ in [*channels._OPTIONS, *server._options(100, shared_port=False)]}


@pytest.mark.parametrize("name", sorted(NAMES))
def test_the_grpc_library_knows_the_option(name: str) -> None:
    assert name.encode() in CORE
