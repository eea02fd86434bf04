"""What an operator can set. Environment variables, prefix TIERMESH_CONSOLE_."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict
from tiermesh_runtime.channels import checked_address
from tiermesh_runtime.settings import ServiceSettings

SHORTEST_KEY_BYTES = 32
ROUTES = ("aggregate", "tier1", "tier2", "tier3")


class ConsoleSettings(ServiceSettings):
    """Settings of the console."""

    model_config = SettingsConfigDict(env_prefix="TIERMESH_CONSOLE_", frozen=True)

    port: int = Field(default=50080, ge=0, le=65535, description="port to listen on; 0 lets the system choose")
    gateway_address: str = Field(default="127.0.0.1:50050", description="host:port of the gateway")
    insights_address: str = Field(default="127.0.0.1:50055", description="host:port of insights")
    session_key_file: Path = Field(
        description="a file with at least 32 random bytes that seals the sign-in cookie; the same for every replica"
    )
    session_hours: float = Field(default=12.0, gt=0, le=24 * 30, description="hours that a sign-in is kept at the most")
    secure_cookies: bool = Field(
        default=True, description="false only where browsers reach the console without TLS, as on a developer's machine"
    )
    trace_url: str = Field(
        default="", description="address of one trace with {trace_id} in it, such as https://traces/trace/{trace_id}"
    )
    example_questions: tuple[str, ...] = Field(
        default=(), max_length=10, description='questions of your domain to begin with, as JSON: ["How many …?"]'
    )
    # Share of questions per route that the routing page is held against, in percent.
    target_mix: Annotated[Mapping[str, float], NoDecode] = Field(
        default={"tier1": 60.0, "aggregate": 30.0, "tier2": 10.0},
        description="the wanted share per route in percent, such as tier1=60,aggregate=30,tier2=10",
    )
    # Both or neither; never in production: whoever reaches the page can sign in as anybody in the file.
    development_people: Path | None = Field(default=None, description="a JSON file of people to sign in as")
    development_key: Path | None = Field(default=None, description="the PEM file that signs for them")

    @field_validator("gateway_address", "insights_address")
    @classmethod
    def _is_address(cls, value: str) -> str:
        return checked_address(value)

    @field_validator("session_key_file")
    @classmethod
    def _is_long_enough(cls, value: Path) -> Path:
        if not value.is_file():
            raise ValueError(f"there is no file {str(value)!r}")
        if value.stat().st_size < SHORTEST_KEY_BYTES:
            raise ValueError(f"{str(value)!r} holds fewer than {SHORTEST_KEY_BYTES} bytes")
        return value

    @field_validator("development_people", "development_key")
    @classmethod
    def _is_there(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError(f"there is no file {str(value)!r}")
        return value

    @field_validator("trace_url")
    @classmethod
    def _is_link(cls, value: str) -> str:
        if value and ("{trace_id}" not in value or not value.startswith(("http://", "https://"))):
            raise ValueError("is no http(s) address with {trace_id} in it")
        return value

    @field_validator("target_mix", mode="before")
    @classmethod
    def _read_mix(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return {name.strip(): float(share) for name, share in (each.split("=") for each in value.split(","))}
        except ValueError:
            raise ValueError("is no list of route=percent") from None

    @field_validator("target_mix")
    @classmethod
    def _mix_adds_up(cls, value: Mapping[str, float]) -> Mapping[str, float]:
        if set(value) - set(ROUTES):
            raise ValueError(f"names other routes than {', '.join(ROUTES)}")
        if any(share < 0 for share in value.values()) or abs(sum(value.values()) - 100) > 0.5:
            raise ValueError("does not add up to 100")
        return value

    @field_validator("workers")
    @classmethod
    def _one_process(cls, value: int) -> int:
        if value != 1:
            raise ValueError("the console runs as one process; start more replicas instead")
        return value

    @model_validator(mode="after")
    def _development_is_whole(self) -> Self:
        if (self.development_people is None) != (self.development_key is None):
            raise ValueError(
                "TIERMESH_CONSOLE_DEVELOPMENT_PEOPLE and TIERMESH_CONSOLE_DEVELOPMENT_KEY come together; "
                "set both or neither"
            )
        return self
