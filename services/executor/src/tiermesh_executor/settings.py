"""What an operator can set. Environment variables, prefix TIERMESH_EXECUTOR_."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict
from tiermesh_runtime.channels import checked_address
from tiermesh_runtime.settings import ServiceSettings

from tiermesh_executor.models.breaker import OPEN_SECONDS
from tiermesh_executor.models.endpoints import Endpoint, MessagesEndpoint, checked_url, load_endpoints
from tiermesh_executor.models.http_client import is_loopback
from tiermesh_executor.tools.fanout import DEFAULT_LIMIT

_CONFIG = Path(__file__).resolve().parents[2] / "config"
_KEY_VARIABLE = "ANTHROPIC_API_KEY"
DEFAULT_PROVIDER = "anthropic"


class ExecutorSettings(ServiceSettings):
    """One deployment serves one tier."""

    model_config = SettingsConfigDict(env_prefix="TIERMESH_EXECUTOR_", frozen=True)

    port: int = Field(50061, ge=0, le=65535, description="port to listen on; 0 lets the system choose")
    tier: int = Field(1, ge=1, le=3, description="tier that this deployment serves: 1, 2 or 3")
    tags: Path = Field(_CONFIG / "tags.yaml", description="YAML file with the tag table")
    prices: Path = Field(_CONFIG / "prices.yaml", description="YAML file with the prices of models")
    base_url: str | None = Field(None, description="URL of a Messages API; unset is the provider's own")
    api_key_file: Path | None = Field(
        None, description=f"file with the provider's API key; unset takes {_KEY_VARIABLE} of the environment"
    )
    providers: Path | None = Field(
        None, description="YAML file with all providers; replaces the one that the two settings above name"
    )
    stated_calibration: Path | None = Field(
        None,
        description="file with what tier 1's stated confidence has been worth (`tiermesh calibrate` writes it);"
        " unset takes the stated number itself",
    )
    aggregator_address: str = Field("127.0.0.1:50053", description="host:port of the aggregator")
    tool_addresses: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="host:port of the tool servers, separated by commas; empty takes the aggregator's"
    )
    mcp_urls: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="URLs of MCP servers (streamable HTTP), separated by commas; their tools come last"
    )
    mcp_token_file: Path | None = Field(None, description="file with the bearer token of this service at MCP servers")
    insights_address: str = Field("", description="host:port of insights; empty keeps the ledger in the spool")
    insights_token_file: Path | None = Field(
        None, description='file with a service principal of purpose "record", signed by the gateway\'s key'
    )
    spool: Path = Field(Path(".tiermesh/spool/executor.sqlite"), description="SQLite file of the ledger's spool")
    spool_max_bytes: int = Field(256 * 1024 * 1024, ge=1024 * 1024, description="most bytes that wait in the spool")
    fan_out_limit: int = Field(
        DEFAULT_LIMIT, ge=1, le=50, description="entities that one look-up may be called for in one answer"
    )
    circuit_open_seconds: float = Field(
        OPEN_SECONDS, gt=0, le=60, description="seconds for which a failing model is left alone before it is probed"
    )
    tool_list_seconds: float = Field(30.0, ge=0, le=3600, description="seconds for which a tool list is remembered")
    heartbeat_seconds: float = Field(10.0, gt=0, le=60, description="idle seconds after which a stream gives a sign")

    @field_validator(
        "tags", "prices", "providers", "stated_calibration", "api_key_file", "insights_token_file", "mcp_token_file"
    )
    @classmethod
    def _is_file(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError(f"there is no file {str(value)!r}")
        return value

    @field_validator("base_url")
    @classmethod
    def _is_url(cls, value: str | None) -> str | None:
        return checked_url(value) if value else None

    @field_validator("tool_addresses", "mcp_urls", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(address.strip() for address in value.split(",") if address.strip())
        return value

    @field_validator("aggregator_address")
    @classmethod
    def _is_address(cls, value: str) -> str:
        return checked_address(value)

    @field_validator("insights_address")
    @classmethod
    def _is_address_or_empty(cls, value: str) -> str:
        return checked_address(value) if value else value

    @field_validator("mcp_urls")
    @classmethod
    def _are_urls(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(checked_url(url) for url in value)

    @field_validator("tool_addresses")
    @classmethod
    def _are_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(checked_address(address) for address in value)

    @model_validator(mode="after")
    def _has_a_key(self) -> "ExecutorSettings":
        if self.providers is not None:
            return self
        if self.api_key_file is None and not os.environ.get(_KEY_VARIABLE) and not is_loopback(self.base_url):
            prefix = "TIERMESH_EXECUTOR_"
            raise ValueError(
                f"{prefix}API_KEY_FILE: no key for the provider; set {prefix}API_KEY_FILE to a file with it, "
                f"{prefix}BASE_URL to a Messages API on this machine, or {prefix}PROVIDERS to a file with others"
            )
        return self

    @property
    def all_tool_addresses(self) -> tuple[str, ...]:
        """The tool servers, by default the aggregator alone."""
        return self.tool_addresses or (self.aggregator_address,)

    def endpoints(self) -> Mapping[str, Endpoint]:
        """The providers by name. Raises ConfigurationError for a file that cannot be used."""
        if self.providers is not None:
            return load_endpoints(self.providers)
        endpoint = MessagesEndpoint(protocol="messages", base_url=self.base_url, api_key_file=self.api_key_file)
        return {DEFAULT_PROVIDER: endpoint}
