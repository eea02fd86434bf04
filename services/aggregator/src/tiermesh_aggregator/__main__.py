"""`python -m tiermesh_aggregator`: settings, then serve until told to stop."""

import sys

from tiermesh_runtime.server import run
from tiermesh_runtime.settings import load_settings

from tiermesh_aggregator.building import build
from tiermesh_aggregator.settings import AggregatorSettings

if __name__ == "__main__":
    sys.exit(run(load_settings(AggregatorSettings), build))
