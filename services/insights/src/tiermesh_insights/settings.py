"""What an operator can set: environment variables, prefix TIERMESH_INSIGHTS_, and the file that they name."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import SettingsConfigDict
from tiermesh_runtime.settings import ServiceSettings
from tiermesh_runtime.startup import StartupError

from tiermesh_insights.store.upkeep import Retention
from tiermesh_insights.thresholds import Terms

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]


class InsightsSettings(ServiceSettings):
    """Settings of the insights service."""

    model_config = SettingsConfigDict(env_prefix="TIERMESH_INSIGHTS_", frozen=True)

    port: int = 50055
    # sqlite:///path (embedded; one process) or postgresql://user@host/database.
    database: str = "sqlite:///.tiermesh/data/insights.sqlite"
    database_password_file: Path | None = Field(
        default=None, description="file with PostgreSQL's password; unset takes what PGPASSFILE and the URL say"
    )
    migrate: bool = Field(default=True, description="bring the schema up to date at start; off where a job does it")
    database_wait_seconds: float = Field(default=60.0, ge=0, description="how long PostgreSQL may be away at start")
    tuning: Path | None = Field(default=None, description="YAML file with what tenants want of their thresholds")
    keep_days: int = Field(default=400, ge=1, description="days that decisions, ledger and outcomes are kept")
    keep_samples_days: int = Field(default=90, ge=1, description="days that sampled texts and verdicts are kept")
    upkeep_seconds: float = Field(default=3600.0, gt=0, description="seconds between two rounds of upkeep")
    executor_address: str = Field(default="", description="executor one tier up, for the judge; empty: no judging")
    executor_token_file: Path | None = Field(default=None, description="service principal of purpose judge")
    judge_every_seconds: float = Field(default=30.0, gt=0, description="seconds between two looks for new samples")

    @field_validator("database")
    @classmethod
    def _known_engine(cls, value: str) -> str:
        if not value.startswith(("sqlite:///", "postgresql://")):
            raise ValueError("start it with sqlite:/// or postgresql://")
        return value

    @field_validator("database_password_file")
    @classmethod
    def _is_file(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError(f"there is no file {str(value)!r}")
        return value

    @property
    def retention(self) -> Retention:
        """How long what is kept."""
        return Retention(timedelta(days=self.keep_days), timedelta(days=self.keep_samples_days))


class TenantTuning(BaseModel):
    """What one tenant wants of its threshold; every value has a working default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # What stands until something is applied, where no decision has told it.
    default_threshold: Share = 0.6
    # Cost of one wrong tier-1 answer: ten cents.
    quality_weight_micros: Annotated[int, Field(ge=0, le=10**12)] = 100_000
    max_quality_loss: Positive = 0.05
    alpha: Positive = 0.05
    minimum_sample: Annotated[int, Field(ge=50)] = 200
    largest_step: Positive = 0.1
    lowest: Share = 0.3
    highest: Share = 0.99
    # Whether the tuning job may apply what it proposes.
    tuned_by_job: bool = False
    # What judging may cost per calendar month.
    judge_cap_micros: Annotated[int, Field(ge=0)] = 5_000_000

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.lowest > self.highest:
            raise ValueError(f"lowest ({self.lowest}) must not be above highest ({self.highest})")
        return self

    def terms(self, *, weight: int = 0, loss: float = 0.0, alpha: float = 0.0) -> Terms:
        """Return the terms, with what a request asks for in their place where it does."""
        return Terms(
            quality_weight_micros=weight or self.quality_weight_micros,
            max_quality_loss=loss or self.max_quality_loss,
            alpha=min(max(alpha or self.alpha, 1e-6), 0.5),
            minimum_sample=self.minimum_sample,
            largest_step=self.largest_step,
            lowest=self.lowest,
            highest=self.highest,
        )


class Tuning(BaseModel):
    """The file: what holds for every tenant, and what differs for some."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    defaults: TenantTuning = TenantTuning()
    tenants: dict[str, TenantTuning] = {}
    misroute_limit: Positive = 0.05
    # Of what routing saves: the most that routing and judging may cost.
    router_share_limit: Positive = 0.02
    # Prices of a model of the middle, per million tokens in dollars, for the audit's second comparison.
    mid_model: str = "claude-sonnet-5-5"
    mid_model_input: Annotated[float, Field(ge=0)] = 2.0
    mid_model_output: Annotated[float, Field(ge=0)] = 10.0

    def of(self, tenant: str) -> TenantTuning:
        """Return what holds for a tenant."""
        return self.tenants.get(tenant, self.defaults)


def load_tuning(path: Path | None) -> Tuning:
    """Read the file; a tenant's entry changes the defaults where it says something. Raises StartupError."""
    if path is None:
        return Tuning()
    try:
        data = yaml.safe_load(path.read_text("utf-8")) or {}
        if not isinstance(data, dict):
            raise StartupError(f"TIERMESH_INSIGHTS_TUNING: {path}: must be a mapping")
        defaults = data.get("defaults") or {}
        tenants = data.get("tenants") or {}
        if isinstance(defaults, dict) and isinstance(tenants, dict):
            data["tenants"] = {
                name: {**defaults, **own} if isinstance(own, dict) else own for name, own in tenants.items()
            }
        return Tuning.model_validate(data)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, each['loc'])) or '(file)'}: {each['msg']}" for each in error.errors())
        raise StartupError(f"TIERMESH_INSIGHTS_TUNING: {path}: {problems}") from error
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as error:
        # ValueError: no UTF-8, a day that no calendar has, or a number of thousands of digits.
        raise StartupError(f"TIERMESH_INSIGHTS_TUNING: {path}: {' '.join(str(error).split())}") from error
