"""What the classifier can be told."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict
from tiermesh_runtime.settings import ServiceSettings


class ClassifierSettings(ServiceSettings):
    """Settings of the classifier, from TIERMESH_CLASSIFIER_* variables."""

    model_config = SettingsConfigDict(env_prefix="TIERMESH_CLASSIFIER_", frozen=True, extra="forbid")

    port: int = Field(50051, ge=0, le=65535, description="port to listen on; 0 lets the system choose")
    pack: Path = Field(Path("packs/hr"), description="folder of the domain pack")
    artefact: Path = Field(
        Path(".tiermesh/models/classifier"), description="folder of the trained artefact (`make train` writes it)"
    )
    fiscal_year_start: int | None = Field(
        None, ge=1, le=12, description="month in which the fiscal year starts; unset takes the pack's"
    )
    inline_characters: int = Field(
        600, ge=0, le=8000, description="longest text that is scored on the event loop; longer ones go to a thread"
    )
