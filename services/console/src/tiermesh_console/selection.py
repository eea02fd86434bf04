"""Which part of the log a report page shows, read from its address: a period and a family of intents.

The tenant is never read from there: it is the visitor's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from tiermesh.insights.v1 import insights_service_pb2 as pb

from tiermesh_console import words
from tiermesh_console.identity import Visitor

PERIODS: Mapping[int, str] = {1: "Last day", 7: "Last 7 days", 30: "Last 30 days", 90: "Last 90 days", 0: "All time"}
DEFAULT_DAYS = 30
_POINTS = 30
_FAMILY = re.compile(r"[A-Za-z0-9_.-]{1,80}")


@dataclass(frozen=True)
class Chosen:
    """What the visitor chose; anything that makes no sense is the default."""

    days: int = DEFAULT_DAYS
    family: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Chosen:
        """Read the choice from an address's query or a form."""
        days = query.get("days", "")
        family = query.get("family", "")
        known = next((each for each in PERIODS if str(each) == days), DEFAULT_DAYS)
        return cls(known, family if _FAMILY.fullmatch(family) else "")

    def message(self, visitor: Visitor) -> pb.Selection:
        """Return the selection for insights, of the visitor's own tenant."""
        selection = pb.Selection(tenant=visitor.tenant, intent_family=self.family)
        if self.days:
            start = Timestamp()
            start.FromDatetime(words.now() - timedelta(days=self.days))
            selection.start.CopyFrom(start)
        return selection

    def step(self) -> Duration:
        """Return the length of one point of a chart over time."""
        hours = max((self.days or 360) * 24 // _POINTS, 1)
        return Duration(seconds=hours * 3600)

    @property
    def query(self) -> dict[str, str]:
        """Return the choice as part of an address."""
        return {"days": str(self.days), **({"family": self.family} if self.family else {})}
