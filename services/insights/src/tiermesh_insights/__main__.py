"""Starts the insights service."""

from __future__ import annotations

import sys

from tiermesh_runtime.server import run
from tiermesh_runtime.settings import load_settings

from tiermesh_insights.building import build
from tiermesh_insights.settings import InsightsSettings

if __name__ == "__main__":
    sys.exit(run(load_settings(InsightsSettings), build))
