"""Everything that an audit says, and which limits it finds broken. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tiermesh_insights.audit.sampling import Misroutes
from tiermesh_insights.confidence import ConfidenceReport
from tiermesh_insights.quality import JudgeHealth
from tiermesh_insights.records import CostLine
from tiermesh_insights.statistics import Estimate


@dataclass(frozen=True, slots=True)
class MidModel:
    """A model of the middle; prices in dollars per million tokens, which is micro-dollars per token."""

    name: str
    input: float
    output: float

    def cost_of(self, lines: Sequence[CostLine], questions: int) -> float:
        """Return what a question would cost with this model on the tokens that answers took and their caching.

        A prompt token read from a cache costs a tenth, one written a quarter more, as elsewhere in the ledger.
        """
        if questions == 0:
            return 0.0
        prompt = sum(
            line.input_tokens
            + 0.1 * line.cache_read_tokens
            + 1.25 * line.cache_write_5m_tokens
            + 2 * line.cache_write_1h_tokens
            for line in lines
        )
        return (prompt * self.input + sum(line.output_tokens for line in lines) * self.output) / questions


@dataclass(frozen=True, slots=True)
class Findings:
    """One audit."""

    audit_id: str
    tenant: str
    at: datetime
    start: datetime | None
    end: datetime | None
    misroutes: Misroutes
    misroute_limit: float
    judged: int
    judge: JudgeHealth
    confidence: ConfidenceReport
    threshold: float
    questions: int
    spent_micros: int
    router_micros: int
    judge_micros: int
    saving_tier2: Estimate | None
    saving_mid: Estimate | None
    mid_model: str
    router_share_limit: float

    @property
    def router_share(self) -> float | None:
        """What routing and judging cost, as a share of what routing saves; None where nothing is saved."""
        if self.saving_tier2 is None or self.saving_tier2.value <= 0:
            return None
        return (self.router_micros + self.judge_micros) / self.saving_tier2.value

    @property
    def failures(self) -> list[str]:
        """Which limits are broken. A rate breaks its limit when its whole interval lies above."""
        found = []
        rate = self.misroutes.rate
        if rate.count and rate.low > self.misroute_limit:
            found.append(
                f"misroute rate {rate.value:.1%} ({rate.low:.1%} to {rate.high:.1%}) is past {self.misroute_limit:.1%}"
            )
        if self.saving_tier2 is not None and self.saving_tier2.high < 0:
            found.append("routing costs more than answering everything at tier 2")
        router = self.router_share
        if router is not None and router > self.router_share_limit:
            found.append(f"routing and judging cost {router:.1%} of what they save, over {self.router_share_limit:.1%}")
        return found

    @property
    def verdict(self) -> str:
        """The first line, for people."""
        rate = self.misroutes.rate
        if self.failures:
            return "FAILED: " + "; ".join(self.failures)
        if rate.high <= self.misroute_limit:
            return f"passed: the misroute rate lies under {self.misroute_limit:.0%} with its whole interval"
        return f"not shown: the misroute rate's interval holds {self.misroute_limit:.0%}; a larger sample would tell"
