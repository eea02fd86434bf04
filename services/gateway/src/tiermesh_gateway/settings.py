"""Settings of the gateway, from TIERMESH_GATEWAY_* variables. Tenants' policies are files of their own (`tenants`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import SettingsConfigDict
from tiermesh_runtime.channels import checked_address
from tiermesh_runtime.settings import ServiceSettings

STATE = Path(".tiermesh")


class GatewaySettings(ServiceSettings):
    """One frozen object; every field has a working default for the development set-up."""

    model_config = SettingsConfigDict(env_prefix="TIERMESH_GATEWAY_", frozen=True)

    port: int = Field(default=50050, ge=0, le=65535, description="a port between 0 and 65535")
    classifier_address: str = Field(default="127.0.0.1:50051", description="host:port of the classifier")
    executor_tier1_address: str = Field(default="127.0.0.1:50061", description="host:port of the tier-1 executor")
    executor_tier2_address: str = Field(default="127.0.0.1:50062", description="host:port of the tier-2 executor")
    executor_tier3_address: str = Field(default="", description="host:port of the tier-3 executor; empty has none")
    suggester_address: str = Field(default="127.0.0.1:50054", description="host:port of the suggester")
    aggregator_address: str = Field(default="127.0.0.1:50053", description="host:port of the aggregator")
    insights_address: str = Field(default="127.0.0.1:50055", description="host:port of insights")
    jwks: Path | None = Field(
        default=STATE / "keys/jwks.json", description="JWKS file with the keys that sign callers' tokens"
    )
    jwks_url: str = Field(
        default="", description="https address of that JWK set, instead of a file; fetched again when keys rotate"
    )
    certificate_callers: Path | None = Field(
        default=None,
        description="YAML file that says whom client certificates ask as; unset knows callers by their tokens alone",
    )
    principal_key: Path = Field(
        default=STATE / "keys/principal.pem", description="PEM file with the Ed25519 key that signs inner principals"
    )
    subject_key: Path | None = Field(
        default=None, description="file with the secret that hashes persons in the decision log"
    )
    tenants: Path = Field(
        default=Path("services/gateway/config/tenants"), description="folder of tenant policies (*.yaml)"
    )
    packs: Path = Field(default=Path("packs"), description="folder that holds the domain packs")
    store: str = Field(
        default=str(STATE / "data/conversations.sqlite"),
        min_length=1,
        description="what remembers conversations: a SQLite file, or postgresql://user@host/database for several"
        " replicas",
    )
    store_password_file: Path | None = Field(
        default=None, description="file with PostgreSQL's password; unset takes what PGPASSFILE and the URL say"
    )
    spool: Path = Field(
        default=STATE / "spool/gateway.sqlite", description="SQLite file that holds what insights has not got yet"
    )
    classify_seconds: float = Field(
        default=0.15,
        gt=0,
        le=5,
        description="time for the classifier's local stages before the failure policy decides; the language-model stage"
        " adds its own where the classifier has one and the tenant's strategy waits for it",
    )
    busy_seconds: float = Field(
        default=5.0, gt=0, le=60, description="how long a turn waits for the one before it in its conversation"
    )
    heartbeat_seconds: float = Field(
        default=10.0, gt=0, le=60, description="idle time after which a heartbeat keeps proxies from cutting a stream"
    )
    replay_seconds: float = Field(
        default=60.0, ge=0, le=600, description="how long asking again with the same request id replays"
    )
    conversation_hours: float = Field(
        default=72.0, gt=0, le=24 * 366, description="idle hours after which a conversation is forgotten"
    )
    most_questions: int = Field(
        default=256,
        ge=1,
        le=100_000,
        description="questions that one process answers at once; pills are left out from 70 %, speculation from 85 %",
    )
    lag_seconds: float = Field(
        default=0.5, gt=0, le=60, description="lag of the event loop at which no new question is taken"
    )
    context_characters: int = Field(
        default=16_000, ge=0, le=400_000, description="most characters of earlier turns that an executor gets"
    )
    reload_seconds: float = Field(default=2.0, gt=0, le=60, description="how often files are looked at for changes")

    @field_validator(
        "classifier_address",
        "executor_tier1_address",
        "executor_tier2_address",
        "suggester_address",
        "aggregator_address",
        "insights_address",
    )
    @classmethod
    def _is_address(cls, value: str) -> str:
        return checked_address(value)

    @field_validator("jwks_url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        if value and not value.startswith(("https://", "http://127.0.0.1", "http://localhost")):
            message = "must be an https address: whoever answers it says who may sign in"
            raise ValueError(message)
        return value

    @model_validator(mode="before")
    @classmethod
    def _url_before_file(cls, values: Any) -> Any:
        # The default file need not be there where a URL is named.
        return values | {"jwks": None} if isinstance(values, dict) and values.get("jwks_url") else values

    @field_validator("executor_tier3_address")
    @classmethod
    def _is_address_or_empty(cls, value: str) -> str:
        return checked_address(value) if value else value

    @model_validator(mode="after")
    def _certificates_are_asked_for(self) -> Self:
        if self.certificate_callers is not None and None in (self.tls_client_ca, self.tls_certificate):
            message = (
                "TIERMESH_GATEWAY_CERTIFICATE_CALLERS needs TIERMESH_GATEWAY_TLS_CLIENT_CA, TLS_CERTIFICATE and TLS_KEY"
                ", or no client is asked for a certificate"
            )
            raise ValueError(message)
        return self

    @field_validator("jwks", "certificate_callers", "principal_key", "subject_key", "store_password_file")
    @classmethod
    def _is_file(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            message = f"there is no file {str(value)!r}"
            raise ValueError(message)
        return value

    @field_validator("tenants", "packs")
    @classmethod
    def _is_folder(cls, value: Path) -> Path:
        if not value.is_dir():
            message = f"there is no folder {str(value)!r}"
            raise ValueError(message)
        return value
