"""Draws a cost-quality curve as PNG."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def plot_curves(report: Mapping[str, Any], path: Path) -> None:
    """The share of the gap that is closed, against the share of strong calls."""
    figure = Figure(figsize=(7, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], linestyle=":", color="grey", label="random, APGR 0.500")
    for name, curve, value in (
        ("oracle", "oracle_curve", report["oracle"]["apgr"]),
        ("baseline", "baseline_curve", report["baseline"]["apgr"]),
        ("tier model", "curve", report["apgr"]["value"]),
    ):
        axes.plot(*zip(*report[curve], strict=True), label=f"{name}, APGR {value:.3f}")
    if report["middle"] is not None:
        axes.axhline(report["middle"]["recovered"], linestyle="--", color="brown", label="one middle model for all")
    axes.set_xlabel("share of questions that go to the strong model")
    axes.set_ylabel("share of the accuracy gap that is closed")
    axes.legend(loc="lower right")
    axes.grid(visible=True, alpha=0.3)
    figure.savefig(path, format="png", dpi=120)
