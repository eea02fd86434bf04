"""Starts the gateway: `python -m tiermesh_gateway`."""

from __future__ import annotations

import sys

from tiermesh_runtime.server import run
from tiermesh_runtime.settings import load_settings

from tiermesh_gateway.build import build
from tiermesh_gateway.settings import GatewaySettings

if __name__ == "__main__":
    sys.exit(run(load_settings(GatewaySettings), build))
