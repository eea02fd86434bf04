"""An audit as one self-contained page: the same words as in Markdown, with plots. Every text of a sample is escaped."""

from __future__ import annotations

import html

from tiermesh_insights.audit.findings import Findings
from tiermesh_insights.audit.markdown import dollars, percent
from tiermesh_insights.audit.plots import histogram, interval_bars, reliability

_MOST_LOSSES = 20
_MOST_STRATA = 40
_STYLE = """
:root{color-scheme:light dark;--ink:#1c2127;--paper:#fff;--soft:#6b7680;--bar:#3b76b8;--limit:#c0392b}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ec;--paper:#15181b;--soft:#9aa5ae;--bar:#6aa5e3;--limit:#ff7b6b}}
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:46rem;margin:2rem auto;
padding:0 1rem}table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .6rem;
border-bottom:1px solid color-mix(in srgb,var(--soft) 40%,transparent)}blockquote{margin:.4rem 0;padding-left:.8rem;
border-left:3px solid var(--soft);white-space:pre-wrap;overflow-wrap:anywhere}svg{width:100%;height:auto;
font:12px system-ui,sans-serif}svg text{fill:var(--ink)}.bar{fill:var(--bar)}.interval{stroke:var(--ink);
stroke-width:1.5}.limit{stroke:var(--limit);stroke-dasharray:5 4}.frame{fill:none;stroke:var(--soft)}
.verdict{font-weight:600}
"""


def page(found: Findings) -> str:
    """Write the page."""
    title = f"Audit of {found.tenant}, {found.at:%Y-%m-%d}"
    strata = [(each.intent or "no signal", each.misroute) for each in found.misroutes.strata[:_MOST_STRATA]]
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        f'<p class="verdict">{html.escape(found.verdict)}</p>',
        f"<p>{found.judged} tier-1 answers judged anew, {found.misroutes.unreadable} without a readable verdict. "
        f"Misroute rate {percent(found.misroutes.rate)}, limit {found.misroute_limit:.1%}.</p>",
        _judge(found),
        "<h2>Misroutes by intent</h2>",
        interval_bars([("all", found.misroutes.rate), *strata], found.misroute_limit, "Misroute rate by intent"),
        "<h2>Losses, worst first</h2>",
        _losses(found),
        "<h2>Money</h2>",
        _money(found),
        "<h2>Confidence</h2>",
        histogram(found.confidence.bands, found.threshold, "Decisions per band of confidence, and the threshold"),
        reliability(found.confidence.reliability, "Reliability: success against confidence"),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _judge(found: Findings) -> str:
    if found.judge.trusted:
        return "<p>The judge is within its limits (order flips, agreement with people, refusals).</p>"
    problems = "".join(f"<li>{html.escape(problem)}</li>" for problem in found.judge.problems)
    return f"<p>The judge's own health is not shown, so read the rate with care:</p><ul>{problems}</ul>"


def _losses(found: Findings) -> str:
    if not found.misroutes.losses:
        return "<p>None in this sample.</p>"
    return "".join(
        f"<h3>{html.escape(loss.sample.intent or 'no signal')}</h3><p>{html.escape(loss.verdict.reason)} "
        f"<small>decision {html.escape(loss.sample.decision_id)}</small></p>"
        f"<blockquote>{html.escape(loss.sample.question)}</blockquote>"
        f"<blockquote>{html.escape(loss.sample.answer[:2000])}</blockquote>"
        for loss in found.misroutes.losses[:_MOST_LOSSES]
    )


def _money(found: Findings) -> str:
    share = found.router_share
    rows = (
        ("questions", f"{found.questions:,}"),
        ("spent", f"{found.spent_micros / 1e6:,.2f} $"),
        ("saved against everything at tier 2 (95 %)", dollars(found.saving_tier2)),
        (f"saved against one mid-size model, {found.mid_model} (95 %)", dollars(found.saving_mid)),
        ("routing (classification)", f"{found.router_micros / 1e6:,.4f} $"),
        ("judging", f"{found.judge_micros / 1e6:,.4f} $"),
        ("routing and judging, of the saving", "–" if share is None else f"{share:.2%}"),
    )
    cells = "".join(f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>" for name, value in rows)
    return f"<table>{cells}</table>"
