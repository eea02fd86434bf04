"""An audit in Markdown. Examples quote samples, so what is written here is for people who may read samples."""

from __future__ import annotations

from collections.abc import Iterable

from tiermesh_insights.audit.findings import Findings
from tiermesh_insights.audit.sampling import Loss
from tiermesh_insights.statistics import Estimate, Rate

_MOST_LOSSES = 20
_MOST_QUOTED = 400


def markdown(found: Findings) -> str:
    """Write the report."""
    rate = found.misroutes.rate
    lines = [
        f"# Audit of {found.tenant}, {found.at:%Y-%m-%d}",
        "",
        f"**{found.verdict}.**",
        "",
        f"{found.judged} tier-1 answers judged anew ({found.misroutes.unreadable} without a readable verdict). "
        f"Misroute rate {percent(rate)} against a limit of {found.misroute_limit:.1%}; stratified by intent, each "
        "weighed by how often it is asked.",
        "",
        *_judge(found),
        "",
        "## Losses, worst first",
        "",
        *_losses(found.misroutes.losses),
        "",
        "## By intent",
        "",
        "| intent | share of tier-1 turns | misroutes (95 %) | judged |",
        "|---|---|---|---|",
        *(
            f"| {cell(each.intent or 'no signal')} | {each.weight:.1%} | {percent(each.misroute)} | "
            f"{each.misroute.count} |"
            for each in found.misroutes.strata
        ),
        "",
        "## Money",
        "",
        *_money(found),
    ]
    return "\n".join(lines) + "\n"


def _judge(found: Findings) -> Iterable[str]:
    if found.judge.trusted:
        return ["The judge is within its limits (order flips, agreement with people, refusals)."]
    return ["The judge's own health is not shown, so read the rate with care:", ""] + [
        f"- {problem}" for problem in found.judge.problems
    ]


def _losses(losses: Iterable[Loss]) -> list[str]:
    lines = []
    for loss in list(losses)[:_MOST_LOSSES]:
        lines += [
            f"- **{cell(loss.sample.intent or 'no signal')}**, decision `{loss.sample.decision_id}`: "
            f"{cell(loss.verdict.reason or 'no reason given')}",
            f"  - asked: {quoted(loss.sample.question)}",
            f"  - answered: {quoted(loss.sample.answer)}",
        ]
    return lines or ["None in this sample."]


def _money(found: Findings) -> list[str]:
    share = found.router_share
    router = "–" if share is None else f"{share:.2%} of the saving (limit {found.router_share_limit:.0%})"
    return [
        "| | |",
        "|---|---|",
        f"| questions | {found.questions:,} |",
        f"| spent | {found.spent_micros / 1e6:,.2f} $ |",
        f"| saved against everything at tier 2 (95 %) | {dollars(found.saving_tier2)} |",
        f"| saved against one mid-size model, {cell(found.mid_model)} (95 %) | {dollars(found.saving_mid)} |",
        f"| routing (classification) | {found.router_micros / 1e6:,.4f} $ |",
        f"| judging | {found.judge_micros / 1e6:,.4f} $ |",
        f"| routing and judging together | {router} |",
        "",
        "Savings hold what was booked against tier 2's mean cost as it was seen (its turns are the harder ones), and "
        "against the mid-size model's price on the tokens that were used.",
    ]


def percent(rate: Rate) -> str:
    """A rate with its interval."""
    return f"{rate.value:.1%} ({rate.low:.1%} to {rate.high:.1%})" if rate.count else "nothing judged"


def dollars(estimate: Estimate | None) -> str:
    """An amount with its interval."""
    if estimate is None:
        return "not measured"
    return f"{estimate.value / 1e6:,.2f} $ ({estimate.low / 1e6:,.2f} to {estimate.high / 1e6:,.2f})"


def quoted(text: str) -> str:
    """Hostile text on one line, as code: nothing of it is markup."""
    flat = " ".join(text.split()).replace("`", "'")
    return f"`{flat[:_MOST_QUOTED]}{'…' if len(flat) > _MOST_QUOTED else ''}`"


def cell(text: str) -> str:
    """Text that breaks no table and is no markup."""
    flat = " ".join(text.split())
    for mark in "\\`*_{}[]<>|#!":
        flat = flat.replace(mark, f"\\{mark}")
    return flat
