"""What the classifier can be told."""

from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict
from tiermesh_runtime.channels import checked_address
from tiermesh_runtime.settings import ServiceSettings


class ClassifierSettings(ServiceSettings):
    """Settings of the classifier, from TIERMESH_CLASSIFIER_* variables."""

    model_config = SettingsConfigDict(env_prefix="TIERMESH_CLASSIFIER_", frozen=True, extra="forbid")

    port: int = Field(50051, ge=0, le=65535, description="port to listen on; 0 lets the system choose")
    pack: Path = Field(Path("packs/hr"), description="folder of the domain pack")
    artefact: Path = Field(
        Path(".tiermesh/models/classifier"), description="folder of the trained artefact (`make train` writes it)"
    )
    tier_artefact: Path | None = Field(
        None,
        description="folder of the least-tier model (`python -m tiermesh_classifier.train_tiers` writes it);"
        " needed by a pack without intents",
    )
    tiers_decide: bool = Field(
        False, description="take that model's chance of tier 1 for the confidence also in a pack with intents"
    )
    fiscal_year_start: int | None = Field(
        None, ge=1, le=12, description="month in which the fiscal year starts; unset takes the pack's"
    )
    inline_characters: int = Field(
        600, ge=0, le=8000, description="longest text that is scored on the event loop; longer ones go to a thread"
    )
    remembered_candidates: int = Field(
        4000,
        ge=0,
        le=1_000_000,
        description="candidates of batches whose scores and sentence vectors are kept (5 kB each); 0 keeps none",
    )
    reload_seconds: float = Field(
        5.0, ge=0, le=3600, description="how often to look for a new artefact in its folder; 0 never looks"
    )
    shadow_artefact: Path | None = Field(
        None, description="folder of a second artefact that scores a share of the turns for the decision log alone"
    )
    shadow_share: float = Field(0.1, ge=0, le=1, description="share of turns that the second artefact scores")
    executor_address: str | None = Field(
        None, description="host:port of the executor that serves the language-model stage; unset leaves that stage out"
    )
    model_seconds: float = Field(2.0, gt=0, le=60, description="longest time that the language model gets for a turn")
    model_least_seconds: float = Field(
        0.25, ge=0, le=60, description="with less time than this left of a call the language model is not asked"
    )
    model_in_flight: int = Field(8, ge=1, le=1000, description="turns that may wait for the language model at once")
    model_failures: int = Field(5, ge=1, le=1000, description="failures in a row after which it is left alone")
    model_pause_seconds: float = Field(30.0, gt=0, le=3600, description="how long it is left alone then")
    model_max_cost_micros: int = Field(
        0, ge=0, description="most that one call may cost, in micro-dollars; 0 is no limit of its own"
    )

    @field_validator("executor_address")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        return None if value is None else checked_address(value)
