"""Settings: one frozen object per service, read once from the environment, every problem reported at once.

Lives here: what all services have, reading, reporting. Not here: what one service
alone has (its own `settings` module).
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn, Self, TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

import grpc
import pydantic_settings
from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource, SettingsConfigDict

from tiermesh_runtime.channels import tls_credentials

EXIT_BAD_SETTINGS = 2
S = TypeVar("S", bound="ServiceSettings")


class ServiceSettings(pydantic_settings.BaseSettings):
    """What every service can be told. Subclasses set `model_config` with their `env_prefix`."""

    model_config = SettingsConfigDict(env_prefix="TIERMESH_SERVICE_", frozen=True, extra="forbid")

    host: str = Field(default="127.0.0.1", min_length=1, description="address to listen on, 0.0.0.0 or [::] for all")
    port: int = Field(ge=0, le=65535, description="port to listen on; 0 lets the system choose")
    health_port: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="port that serves health alone, in plaintext, for probes without a certificate; 0 serves none",
    )
    workers: int = Field(default=1, ge=1, le=64, description="processes that share the port")
    reflection: bool = Field(default=True, description="whether clients may ask for the protos; off in production")
    principal_public_key: Path | None = Field(
        default=None, description="PEM file with the gateway's Ed25519 public key (`tiermesh up` writes one)"
    )
    drain_seconds: float = Field(default=10.0, ge=0, le=600, description="seconds that running calls get at shutdown")
    default_deadline_seconds: float = Field(default=60.0, gt=0, description="deadline of calls that bring none")
    max_deadline_seconds: float = Field(default=180.0, gt=0, description="longest deadline that is granted")
    max_in_flight: int = Field(default=1000, ge=1, description="calls served at once; what exceeds it is refused")
    tls_certificate: Path | None = Field(default=None, description="PEM file with the server's certificate chain")
    tls_key: Path | None = Field(default=None, description="PEM file with the server's private key")
    tls_client_ca: Path | None = Field(default=None, description="PEM file with the CA of client certificates")
    peer_ca: Path | None = Field(
        default=None,
        description="PEM file with the CA of the services that are called; calls go over TLS then, with the own "
        "certificate for those that ask for one",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="least level that is logged"
    )
    log_format: Literal["json", "console"] = Field(default="json", description="json or, for people, console")

    @field_validator("principal_public_key", "tls_certificate", "tls_key", "tls_client_ca", "peer_ca")
    @classmethod
    def _file_exists(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError(f"there is no file {str(value)!r}")
        return value

    @model_validator(mode="after")
    def _certificate_has_key(self) -> Self:
        if (self.tls_key is None) != (self.tls_certificate is None):
            prefix = env_prefix(type(self))
            raise ValueError(f"{prefix}TLS_CERTIFICATE and {prefix}TLS_KEY come together; set both or neither")
        return self

    def channel_credentials(self) -> grpc.ChannelCredentials | None:
        """Return what channels to other services are opened with, None for plaintext. Reads the files anew."""
        return tls_credentials(self.peer_ca, self.tls_certificate, self.tls_key)

    @property
    def service_name(self) -> str:
        """Return the name in logs and telemetry: TIERMESH_GATEWAY_ makes "gateway"."""
        return env_prefix(type(self)).removeprefix("TIERMESH_").strip("_").lower()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[pydantic_settings.BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments and environment only; broken JSON becomes a problem like any other."""
        return init_settings, _Environment(settings_cls)


class _Environment(pydantic_settings.EnvSettingsSource):
    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value  # validation says what is wrong with it, together with all other problems


def with_password(url: str, file: Path | None) -> str:
    """Return a postgresql:// URL with the password that `file` holds; without a file the URL as it is.

    Drivers refuse a PGPASSFILE that a group may read, as mounted secrets are. For opening alone, never for logs.
    """
    parts = urlsplit(url)
    if file is None or not parts.scheme.startswith("postgres"):
        return url
    password = quote(file.read_text("utf-8").strip(), safe="")
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}:{password}@{host}"))


def env_prefix(cls: type[ServiceSettings]) -> str:
    """Return the prefix of the environment variables of `cls`."""
    return str(cls.model_config.get("env_prefix") or "")


def load_settings(cls: type[S], argv: Sequence[str] | None = None) -> S:
    """Read the settings; on problems print all of them and exit with 2. `--check-config` prints and exits with 0."""
    parser = argparse.ArgumentParser(description=f"Settings come from {env_prefix(cls)}* environment variables.")
    parser.add_argument("--check-config", action="store_true", help="print the settings in effect and exit")
    options = parser.parse_args(argv)
    problems = _unknown_variables(cls)
    settings: S | None = None
    nothing: dict[str, Any] = {}  # everything comes from the environment, which a type checker cannot know
    try:
        settings = cls(**nothing)
    except ValidationError as error:
        problems += [_problem(cls, dict(each)) for each in error.errors()]
    if settings is None or problems:
        _refuse(cls, problems)
    if options.check_config:
        sys.stdout.write(settings.model_dump_json(indent=2) + "\n")
        raise SystemExit(0)
    return settings


def _refuse(cls: type[ServiceSettings], problems: Sequence[str]) -> NoReturn:
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    sys.stderr.write(f"{env_prefix(cls)}* settings: {count}\n")
    sys.stderr.writelines(f"  {each}\n" for each in problems)
    raise SystemExit(EXIT_BAD_SETTINGS)


def _problem(cls: type[ServiceSettings], error: dict[str, Any]) -> str:
    """Return one line: variable, value, what is wrong, what to set instead."""
    place = [str(each) for each in error["loc"]]
    field = cls.model_fields.get(place[0]) if place else None
    if field is None:
        return str(error["msg"]).removeprefix("Value error, ")
    variable = env_prefix(cls) + place[0].upper()
    inside = f" (at {'.'.join(place[1:])})" if len(place) > 1 else ""
    given = "" if error["type"] == "missing" else f"={_shown(field, error['input'])}"
    problem = "is not set" if error["type"] == "missing" else error["msg"].removeprefix("Value error, ")
    mend = f"; set {field.description}" if field.description else ""
    default = field.get_default(call_default_factory=False)
    usual = "" if field.is_required() or default is None else f" (default {default})"
    return f"{variable}{given}{inside}: {problem}{mend}{usual}"


def _shown(field: FieldInfo, value: Any) -> str:
    if "Secret" in str(field.annotation):
        return "***"
    words = value if isinstance(value, str) else json.dumps(value, default=str)
    return words if len(words) <= 80 else f"{words[:77]}..."


def _unknown_variables(cls: type[ServiceSettings]) -> list[str]:
    """Return a problem for each variable with our prefix that no field reads: a typo would else go unnoticed."""
    prefix = env_prefix(cls)
    delimiter = cls.model_config.get("env_nested_delimiter")
    known = [prefix + name.upper() for name in cls.model_fields]
    problems = []
    for variable in sorted(os.environ):
        upper = variable.upper()
        if not upper.startswith(prefix) or upper in known:
            continue
        if delimiter and any(upper.startswith(each + delimiter.upper()) for each in known):
            continue
        near = difflib.get_close_matches(upper, known, n=1)
        hint = f"did you mean {near[0]}?" if near else "unset it, or see --help for what there is"
        problems.append(f"{variable}: no such setting; {hint}")
    return problems
