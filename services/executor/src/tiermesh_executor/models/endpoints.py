"""Which providers a deployment speaks to, from a file: one row per name that the tag table uses.

Keys are files, never values. Rows are checked at start; nothing is called.
"""

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from tiermesh_executor.configuration import ConfigurationError, read_yaml
from tiermesh_executor.models.anthropic_provider import AnthropicProvider, bedrock, messages_api, vertex
from tiermesh_executor.models.http_client import is_loopback
from tiermesh_executor.models.openai_provider import OpenAIProvider
from tiermesh_executor.models.provider import Provider

_LOCAL_KEY = "local"


def checked_url(value: str) -> str:
    """Raises ValueError for what is no URL of a server."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{value!r} is no http(s) URL")
    return value


def _file(value: Path) -> Path:
    if not value.is_file():
        raise ValueError(f"there is no file {str(value)!r}")
    return value


Url = Annotated[str, AfterValidator(checked_url)]
KeyFile = Annotated[Path, AfterValidator(_file)]


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MessagesEndpoint(_Row):
    """Any server of the Messages API."""

    protocol: Literal["messages"]
    # Unset is the provider's own.
    base_url: Url | None = None
    # Unset takes ANTHROPIC_API_KEY of the environment; a server on this machine needs none.
    api_key_file: KeyFile | None = None


class ChatEndpoint(_Row):
    """Any server of OpenAI-compatible chat completions."""

    protocol: Literal["chat-completions"]
    # Unset is OpenAI's own. Most servers want the version in it, such as http://127.0.0.1:8000/v1.
    base_url: Url | None = None
    # Unset takes OPENAI_API_KEY of the environment; a server on this machine needs none.
    api_key_file: KeyFile | None = None
    # Name of the limit's field; unset is "max_completion_tokens" for OpenAI's own and "max_tokens" elsewhere.
    max_tokens_as: Literal["max_tokens", "max_completion_tokens"] | None = None


class BedrockEndpoint(_Row):
    """The Messages API on Amazon Bedrock."""

    protocol: Literal["bedrock"]
    region: str = Field(min_length=1)
    # A Bedrock API key; unset lets the AWS credentials of the environment sign (needs boto3).
    api_key_file: KeyFile | None = None
    base_url: Url | None = None


class VertexEndpoint(_Row):
    """The Messages API on Google Vertex AI, by the credentials of the environment (needs google-auth)."""

    protocol: Literal["vertex"]
    region: str = Field(min_length=1)
    project: str = Field(min_length=1)
    base_url: Url | None = None


Endpoint = Annotated[
    MessagesEndpoint | ChatEndpoint | BedrockEndpoint | VertexEndpoint, Field(discriminator="protocol")
]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]


class Endpoints(_Row):
    """All of a deployment."""

    providers: Mapping[Name, Endpoint] = Field(min_length=1)


def load_endpoints(path: Path) -> Mapping[str, Endpoint]:
    """Raises ConfigurationError with every problem."""
    found = read_yaml(path, Endpoints).providers
    problems = [
        f"{path}: providers.{name}: {problem}" for name, endpoint in found.items() if (problem := _problem(endpoint))
    ]
    if problems:
        raise ConfigurationError(problems)
    return found


def open_provider(name: str, endpoint: Endpoint) -> Provider:
    """Opens no connection yet."""
    match endpoint:
        case MessagesEndpoint():
            client = messages_api(_key(endpoint.api_key_file, "ANTHROPIC_API_KEY"), endpoint.base_url)
            return AnthropicProvider(client, name=name)
        case ChatEndpoint():
            own = "max_completion_tokens" if endpoint.base_url is None else "max_tokens"
            return OpenAIProvider(
                api_key=_key(endpoint.api_key_file, "OPENAI_API_KEY"),
                base_url=endpoint.base_url,
                name=name,
                max_tokens_as=endpoint.max_tokens_as or own,
            )
        case BedrockEndpoint():
            key = _key(endpoint.api_key_file, "") if endpoint.api_key_file else None
            return AnthropicProvider(bedrock(endpoint.region, api_key=key, base_url=endpoint.base_url), name=name)
        case VertexEndpoint():
            client = vertex(endpoint.region, endpoint.project, base_url=endpoint.base_url)
            return AnthropicProvider(client, name=name)


def _problem(endpoint: Endpoint) -> str:
    match endpoint:
        case MessagesEndpoint() | ChatEndpoint() if endpoint.api_key_file is None and not is_loopback(
            endpoint.base_url
        ):
            variable = "ANTHROPIC_API_KEY" if isinstance(endpoint, MessagesEndpoint) else "OPENAI_API_KEY"
            if not os.environ.get(variable):
                return f"no key; set api_key_file to a file with it, or {variable} in the environment"
        case BedrockEndpoint() if endpoint.api_key_file is None and importlib.util.find_spec("boto3") is None:
            return "signing needs boto3; install anthropic[bedrock], or set api_key_file to a Bedrock API key"
        case VertexEndpoint() if importlib.util.find_spec("google.auth") is None:
            return "signing needs google-auth; install anthropic[vertex]"
    return ""


def _key(file: Path | None, variable: str) -> str:
    """A server on this machine takes any key."""
    if file is not None:
        return file.read_text(encoding="utf-8").strip() or _LOCAL_KEY
    return os.environ.get(variable) or _LOCAL_KEY
