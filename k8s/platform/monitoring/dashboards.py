"""Writes dashboards/*.json, as Grafana takes them, from dashboards.yaml.

`make dashboards` calls it. Not here: what is shown, which is the YAML file's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
_WIDTH, _HEIGHT, _COLUMNS = 8, 8, 3
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def dashboard(uid: str, described: Mapping[str, Any]) -> dict[str, Any]:
    """Return Grafana's model of one dashboard."""
    return {
        "uid": f"tiermesh-{uid}",
        "title": described["title"],
        "tags": ["tiermesh"],
        "timezone": "browser",
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [{"name": "datasource", "type": "datasource", "query": "prometheus"}]},
        "panels": [_panel(number, each) for number, each in enumerate(described["panels"])],
    }


def _panel(number: int, described: Mapping[str, Any]) -> dict[str, Any]:
    place = {
        "x": number % _COLUMNS * _WIDTH,
        "y": number // _COLUMNS * _HEIGHT,
        "w": _WIDTH,
        "h": _HEIGHT,
    }
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": described["title"],
        "gridPos": place,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": {"unit": described["unit"], "min": 0}, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": _SOURCE,
                "expr": query,
                "legendFormat": legend,
                "exemplar": bool(described.get("exemplars")),
            }
            for index, (legend, query) in enumerate(described["queries"].items())
        ],
    }


def rendered() -> dict[str, str]:
    """Return the text of each file by its name."""
    source = yaml.safe_load((HERE / "dashboards.yaml").read_text())
    return {f"{name}.json": json.dumps(dashboard(name, each), indent=2) + "\n" for name, each in source.items()}


if __name__ == "__main__":
    for name, text in rendered().items():
        (HERE / "dashboards" / name).write_text(text)
