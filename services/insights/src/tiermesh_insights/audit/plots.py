"""Small plots as SVG text: bars with intervals, and the reliability diagram. No script, no font, no other file."""

from __future__ import annotations

import html
from collections.abc import Sequence

from tiermesh_insights.confidence import Band
from tiermesh_insights.statistics import Rate

_WIDTH, _ROW, _LEFT, _RIGHT = 640, 24, 190, 60
_SQUARE = 320


def interval_bars(rows: Sequence[tuple[str, Rate]], limit: float | None, title: str) -> str:
    """One bar per row with its interval; the limit as a line."""
    top = max([rate.high for _, rate in rows] + [limit or 0.0, 0.01])
    span = _WIDTH - _LEFT - _RIGHT
    height = _ROW * len(rows) + 30

    def x(value: float) -> float:
        return round(_LEFT + value / top * span, 1)

    parts = []
    for index, (name, rate) in enumerate(rows):
        y = 10 + index * _ROW
        middle = y + _ROW / 2
        parts += [
            f'<text x="{_LEFT - 8}" y="{middle + 4}" text-anchor="end">{html.escape(name[:28])}</text>',
            _bar(_LEFT, y + 4, x(rate.value) - _LEFT, _ROW - 8),
            f'<line x1="{x(rate.low)}" y1="{middle}" x2="{x(rate.high)}" y2="{middle}" class="interval"/>',
            f'<text x="{x(rate.high) + 6}" y="{middle + 4}">{rate.value:.1%}</text>',
        ]
    if limit is not None:
        parts.append(f'<line x1="{x(limit)}" y1="4" x2="{x(limit)}" y2="{height - 16}" class="limit"/>')
        parts.append(f'<text x="{x(limit)}" y="{height - 3}" text-anchor="middle">limit {limit:.0%}</text>')
    return _svg(_WIDTH, height, title, parts)


def reliability(bins: Sequence[Band], title: str) -> str:
    """Mean confidence against success, with intervals; the diagonal is honesty."""
    edge = 36
    side = _SQUARE - 2 * edge

    def x(value: float) -> float:
        return round(edge + value * side, 1)

    def y(value: float) -> float:
        return round(edge + (1 - value) * side, 1)

    parts = [
        f'<rect x="{edge}" y="{edge}" width="{side}" height="{side}" class="frame"/>',
        f'<line x1="{x(0)}" y1="{y(0)}" x2="{x(1)}" y2="{y(1)}" class="limit"/>',
        f'<text x="{_SQUARE / 2}" y="{_SQUARE - 8}" text-anchor="middle">confidence</text>',
        f'<text x="12" y="{_SQUARE / 2}" text-anchor="middle" transform="rotate(-90 12 {_SQUARE / 2})">success</text>',
    ]
    for band in bins:
        if band.success is not None:
            at = x(band.mean_confidence)
            parts.append(
                f'<line x1="{at}" y1="{y(band.success.low)}" x2="{at}" y2="{y(band.success.high)}" class="interval"/>'
            )
            parts.append(f'<circle cx="{at}" cy="{y(band.success.value)}" r="4" class="bar"/>')
    return _svg(_SQUARE, _SQUARE, title, parts)


def histogram(bands: Sequence[Band], threshold: float, title: str) -> str:
    """How many decisions each band of confidence holds; the threshold as a line."""
    width, height, base = _WIDTH, 180, 150
    most = max([band.decisions for band in bands] + [1])
    step = (width - 40) / max(len(bands), 1)
    parts = []
    for index, band in enumerate(bands):
        tall = round(band.decisions / most * (base - 20), 1)
        left = round(20 + index * step, 1)
        parts.append(_bar(left + 1, base - tall, step - 2, tall))
        parts.append(
            f'<text x="{round(left + step / 2, 1)}" y="{base + 16}" text-anchor="middle">{band.low:.1f}</text>'
        )
    at = round(20 + threshold * (width - 40), 1)
    parts.append(f'<line x1="{at}" y1="8" x2="{at}" y2="{base}" class="limit"/>')
    return _svg(width, height, title, parts)


def _bar(x: float, y: float, width: float, height: float) -> str:
    return (
        f'<rect x="{round(x, 1)}" y="{round(y, 1)}" width="{round(width, 1)}" height="{round(height, 1)}" class="bar"/>'
    )


def _svg(width: float, height: float, title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{html.escape(title)}">'
        f"<title>{html.escape(title)}</title>{''.join(parts)}</svg>"
    )
