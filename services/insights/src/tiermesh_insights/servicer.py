"""tiermesh.insights.v1.InsightsService, put together from its parts: who may call, message → domain → message."""

from __future__ import annotations

from tiermesh_insights.analysis import Analysis
from tiermesh_insights.audit.auditing import Auditing
from tiermesh_insights.board import PolicyBoard
from tiermesh_insights.metrics import Metrics
from tiermesh_insights.servicer_auditing import Audits
from tiermesh_insights.servicer_comparing import Comparing
from tiermesh_insights.servicer_recording import Recording
from tiermesh_insights.servicer_reporting import Reporting
from tiermesh_insights.servicer_thresholds import Thresholds
from tiermesh_insights.store import Store


class InsightsServicer(Recording, Reporting, Thresholds, Comparing, Audits):
    """Every RPC of the service."""

    def __init__(
        self,
        store: Store,
        analysis: Analysis,
        board: PolicyBoard,
        metrics: Metrics,
        auditing: Auditing | None = None,
    ) -> None:
        self._store = store
        self._analysis = analysis
        self._board = board
        self._metrics = metrics
        self._auditing = auditing
