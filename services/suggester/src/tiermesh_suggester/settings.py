"""What an operator can set. Environment variables, prefix TIERMESH_SUGGESTER_."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict
from tiermesh_runtime.settings import ServiceSettings


class SuggesterSettings(ServiceSettings):
    """Settings of the suggester."""

    model_config = SettingsConfigDict(env_prefix="TIERMESH_SUGGESTER_", frozen=True, extra="forbid")

    port: int = Field(default=50054, ge=0, le=65535, description="port to listen on; 0 lets the system choose")
    pack: Path = Field(default=Path("packs/hr"), description="folder of the domain pack")
    executor_address: str = Field(default="127.0.0.1:50062", description="host:port of the tier-2 executor")
    classifier_address: str = Field(default="127.0.0.1:50051", description="host:port of the classifier")
    model_seconds: float = Field(default=6.0, gt=0, le=60, description="seconds that the model gets for its candidates")
    classify_seconds: float = Field(default=1.0, gt=0, le=10, description="seconds for classifying the candidates")
    min_intent_probability: float = Field(
        default=0.6, ge=0, le=1, description="least probability of a candidate's intent"
    )
    proposed_intents: tuple[str, ...] = Field(
        default=("leave.apply", "leave.cancel", "expenses.submit"),
        description="JSON list of the write intents that end in a proposal; others are not suggested",
    )
