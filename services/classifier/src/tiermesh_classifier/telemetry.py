"""What the classifier tells of itself: shares of labels, of silence and of confidence, never a word of a text."""

from opentelemetry import metrics
from tiermesh_runtime.telemetry import meter

from tiermesh_classifier.language_model.stage import Outcome
from tiermesh_classifier.scores import Scores

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


class DriftMetrics:
    """What shows that questions or models drift: shares of labels ("no_signal" among them), confidence, agreement."""

    def __init__(self) -> None:
        found = meter(_NAME)
        self._labels = found.create_counter(
            "tiermesh.classifier.labels", unit="{turn}", description="Turns by axis, label and stage that decided."
        )
        self._confidence = found.create_histogram(
            "tiermesh.classifier.confidence",
            unit="1",
            description="Calibrated probability that tier 1 answers right.",
            explicit_bucket_boundaries_advisory=[each / 10 for each in range(1, 10)],
        )
        self._shadow = found.create_counter(
            "tiermesh.classifier.shadow.turns",
            unit="{turn}",
            description="Turns by axis and whether the shadow agrees.",
        )
        self._artefacts = found.create_counter(
            "tiermesh.classifier.artefact.loads", unit="{load}", description="New artefacts, swapped in or refused."
        )

    def scored(self, scores: Scores) -> None:
        """One turn."""
        version = scores.artefact_version
        for axis, score in scores.axes.items():
            attributes = {"axis": axis, "label": score.label, "stage": score.stage.value, "artefact": version}
            self._labels.add(1, attributes)
        self._confidence.record(scores.confidence.value, {"artefact": version})

    def shadowed(self, scores: Scores, shadow: Scores) -> None:
        """One turn that two artefacts scored."""
        for axis, score in scores.axes.items():
            agrees = shadow.axes[axis].label == score.label
            self._shadow.add(1, {"axis": axis, "agrees": agrees, "artefact": shadow.artefact_version})

    def artefact_loaded(self, role: str, *, swapped: bool) -> None:
        """A new artefact was there."""
        self._artefacts.add(1, {"role": role, "outcome": "swapped" if swapped else "refused"})
