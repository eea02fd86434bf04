"""What an operator can set. Environment variables, prefix TIERMESH_INSIGHTS_."""

from __future__ import annotations

from pydantic import field_validator
from pydantic_settings import SettingsConfigDict
from tiermesh_runtime.settings import ServiceSettings


class InsightsSettings(ServiceSettings):
    """Settings of the insights service."""

    model_config = SettingsConfigDict(env_prefix="TIERMESH_INSIGHTS_", frozen=True)

    port: int = 50055
    # sqlite:///path (embedded; one process) or postgresql://user@host/database (password by PGPASSFILE).
    database: str = "sqlite:///.tiermesh/data/insights.sqlite"

    @field_validator("database")
    @classmethod
    def _known_engine(cls, value: str) -> str:
        if not value.startswith(("sqlite:///", "postgresql://")):
            raise ValueError("start it with sqlite:/// or postgresql://")
        return value
