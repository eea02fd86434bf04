"""Makes a proposal into a record that a person can review: the figures, and the evidence in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tiermesh_insights.evidence import Case
from tiermesh_insights.replaying import Replay, replay
from tiermesh_insights.statistics import Estimate, Rate
from tiermesh_insights.thresholds import (
    Point,
    Proposed,
    Sample,
    Terms,
    curve,
    escalation_rate,
    loss_rate,
    point_at,
    propose,
    sample_of,
    saving,
)

_PER_QUESTIONS = 1000


@dataclass(frozen=True)
class Proposal:
    """A proposal with everything that it rests on. Savings are per turn, in micro-dollars."""

    proposed: Proposed
    current: float
    sample: int
    turns: int
    terms: Terms
    quality_loss: Rate
    loss_bound: float
    current_quality_loss: Rate
    escalated: Rate
    current_escalated: Rate
    saving: Estimate
    replayed: Replay
    evidence: str

    @property
    def moves(self) -> bool:
        """False when the threshold in force is as good as any."""
        return abs(self.proposed.threshold - self.current) > 1e-9


def make_proposal(cases: Sequence[Case], terms: Terms, current: float, wanted: float | None = None) -> Proposal:
    """Propose from evidence. Raises SampleTooSmallError."""
    sample = sample_of(cases)
    points = curve(sample, terms)
    proposed = propose(sample, points, terms, current, wanted)
    at = point_at(points, proposed.threshold)
    saved = saving(sample, current, proposed.threshold)
    replayed = replay(cases, proposed.threshold, current)
    proposal = Proposal(
        proposed=proposed,
        current=current,
        sample=len(sample.labelled),
        turns=len(sample.level),
        terms=terms,
        quality_loss=loss_rate(sample, proposed.threshold),
        loss_bound=at.loss_bound,
        current_quality_loss=loss_rate(sample, current),
        escalated=escalation_rate(sample, proposed.threshold),
        current_escalated=escalation_rate(sample, current),
        saving=saved,
        replayed=replayed,
        evidence="",
    )
    return Proposal(**{**vars(proposal), "evidence": _evidence(proposal, sample, points)})


def _evidence(proposal: Proposal, sample: Sample, points: Sequence[Point]) -> str:
    """The evidence in Markdown."""
    terms, proposed = proposal.terms, proposal.proposed
    method = "Clopper and Pearson's exact bound" if sample.binary else "Waudby-Smith and Ramdas's betting bound"
    verb = "Stay at" if not proposal.moves else "Lower to" if proposed.threshold < proposal.current else "Raise to"
    lines = [
        f"**{verb} {proposed.threshold:.3f}** (in force: {proposal.current:.3f}; least expected cost under the bound: "
        f"{proposed.optimum:.3f}).",
        "",
        f"Rests on {proposal.sample} labelled turns of {proposal.turns} that the confidence decided. "
        f"With probability {1 - terms.alpha:.0%} the quality loss (tier 1 answered and was wrong, of all such turns) "
        f"is at most {proposal.loss_bound:.2%}; the limit is {terms.max_quality_loss:.2%} "
        f"(α = {terms.alpha:g}, n = {proposal.sample}, {method}).",
        "",
        "| | in force | proposed |",
        "|---|---|---|",
        f"| quality loss (95 %) | {_rate(proposal.current_quality_loss)} | {_rate(proposal.quality_loss)} |",
        f"| escalated (95 %) | {_rate(proposal.current_escalated)} | {_rate(proposal.escalated)} |",
        f"| models, per 1,000 turns | {_money(point_at(points, proposal.current).cost)} | "
        f"{_money(point_at(points, proposed.threshold).cost)} |",
        f"| with a wrong answer at {terms.quality_weight_micros / 1e6:.2f} $ | "
        f"{_money(point_at(points, proposal.current).weighed_cost)} | "
        f"{_money(point_at(points, proposed.threshold).weighed_cost)} |",
        "",
        f"Replayed over the log, {proposal.replayed.changed} of {proposal.replayed.decisions} decisions would have "
        f"gone elsewhere; saving per 1,000 turns {_money(proposal.saving.value)} "
        f"(95 %: {_money(proposal.saving.low)} to {_money(proposal.saving.high)}).",
    ]
    if proposed.step_bounded:
        lines += ["", f"The step is bounded to {terms.largest_step:g}; the next proposal can go on."]
    if proposed.current_breaks_bound:
        lines += ["", "The threshold in force breaks the bound, so it is left in one step."]
    return "\n".join(lines)


def _rate(rate: Rate) -> str:
    return f"{rate.value:.1%} ({rate.low:.1%} to {rate.high:.1%})"


def _money(micros_per_turn: float) -> str:
    return f"{micros_per_turn * _PER_QUESTIONS / 1e6:,.2f} $"
