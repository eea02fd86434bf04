"""What the classifier tells of itself: shares of labels, of silence and of confidence, never a word of a text."""

from opentelemetry import metrics
from tiermesh_runtime.telemetry import meter

from tiermesh_classifier.language_model.stage import Outcome

_NAME = "tiermesh_classifier"


class ModelStageMetrics:
    """How the language-model stage ended, counted by outcome."""

    def __init__(self) -> None:
        self._turns: metrics.Counter = meter(_NAME).create_counter(
            "tiermesh.classifier.model_stage.turns", unit="{turn}", description="Turns by how the stage ended."
        )

    def observe(self, outcome: Outcome) -> None:
        """One turn."""
        self._turns.add(1, {"tiermesh.classifier.model_stage.outcome": outcome.value})
