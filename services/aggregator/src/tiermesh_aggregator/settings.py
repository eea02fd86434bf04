"""What this service can be told. Read once, from TIERMESH_AGGREGATOR_* variables."""

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict
from tiermesh_runtime.settings import ServiceSettings

from tiermesh_aggregator.engines.address import PostgresAddress, address


class AggregatorSettings(ServiceSettings):
    """Settings of the aggregator."""

    model_config = SettingsConfigDict(env_prefix="TIERMESH_AGGREGATOR_", frozen=True, extra="forbid")

    port: int = Field(default=50053, ge=0, le=65535, description="port to listen on; 0 lets the system choose")
    tenant: str = Field(
        default="acme", pattern="^[a-z0-9][a-z0-9-]{0,62}$", description="tenant whose data the database holds"
    )
    currency: str = Field(
        default="", pattern="^([A-Z]{3})?$", description="currency of the tenant's sums; empty takes the pack's"
    )
    pack: Path = Field(default=Path("packs/hr"), description="folder of the domain pack")
    database: str = Field(
        default="duckdb:///.tiermesh/data/hr.duckdb",
        description="duckdb:///path/to/file.duckdb or postgresql://user@host/database",
    )
    statement_timeout_seconds: float = Field(default=10.0, gt=0, le=120, description="longest time of one statement")
    database_password_file: Path | None = Field(
        default=None, description="file with PostgreSQL's password; unset takes what PGPASSFILE and the URL say"
    )
    replicas: tuple[str, ...] = Field(
        default=(), description='PostgreSQL read replicas as a JSON list, such as ["postgresql://user@replica/db"]'
    )
    row_security: Literal["required", "off"] = Field(
        default="required", description="whether PostgreSQL must hold every statement to its rows itself"
    )
    memory_limit: str = Field(
        default="512MB", pattern="^[0-9]+(MB|GB)$", description="most memory that DuckDB may use, such as 512MB"
    )
    threads: int = Field(default=2, ge=1, le=64, description="threads of DuckDB for one statement")
    concurrency: int = Field(default=8, ge=1, le=100, description="statements at once; PostgreSQL's connections")
    mcp_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="port for the tools over MCP; absent serves none",
    )
    mcp_hosts: tuple[str, ...] = Field(
        default=(),
        description='names that MCP clients may call it by, as a JSON list such as ["aggregator:*"]',
    )
    slot_confidence: float = Field(
        default=0.5, ge=0, le=1, description="least confidence with which a slot is taken without asking a model"
    )
    graph_max_rows: float = Field(
        default=20_000_000, gt=0, description="most rows that the database may expect to touch for a GraphQL document"
    )
    graph_max_cost: float = Field(
        default=5_000_000, gt=0, description="most that PostgreSQL's planner may expect a GraphQL document to cost"
    )
    action_key_file: Path | None = Field(
        default=None, description="file with the secret that seals proposals; without it nothing can be written"
    )

    @field_validator("database")
    @classmethod
    def _known_engine(cls, value: str) -> str:
        address(value)
        return value

    @field_validator("replicas")
    @classmethod
    def _replicas_are_postgres(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for url in value:
            if not isinstance(address(url), PostgresAddress):
                raise ValueError("only PostgreSQL has read replicas: give postgresql://user@host/database")
        return value

    @field_validator("action_key_file", "database_password_file")
    @classmethod
    def _key_exists(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError(f"there is no file {str(value)!r}")
        return value
