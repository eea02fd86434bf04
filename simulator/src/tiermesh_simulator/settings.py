"""What can be set: where to listen, how fast to speak, how strict to be. Read once, frozen.

Not here: what a model can do (`models.py`) and faults (`faults.py`).
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Timing(BaseModel):
    """How fast one class of models speaks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first_token_ms: float = Field(default=150, ge=0, le=600_000)
    chunk_ms: float = Field(default=6, ge=0, le=60_000)
    chunk_chars: int = Field(default=24, ge=1, le=100_000)
    # Pieces that each text is cut into, whatever its length (never more than it has characters); unset goes by size.
    chunks: int | None = Field(default=None, ge=1, le=100_000)


class SimulatorSettings(BaseSettings):
    """Environment `TIERMESH_SIMULATOR_*`; nested values as `TIERMESH_SIMULATOR_HAIKU__CHUNK_MS`."""

    model_config = SettingsConfigDict(
        env_prefix="TIERMESH_SIMULATOR_", env_nested_delimiter="__", frozen=True, extra="ignore"
    )

    host: str = "127.0.0.1"
    port: int = Field(default=50090, ge=0, le=65535)

    haiku: Timing = Timing(first_token_ms=120, chunk_ms=5)
    sonnet: Timing = Timing(first_token_ms=250, chunk_ms=8)
    opus: Timing = Timing(first_token_ms=400, chunk_ms=10)
    # Each of these, when set, holds for every class.
    first_token_ms: float | None = Field(default=None, ge=0, le=600_000)
    chunk_ms: float | None = Field(default=None, ge=0, le=60_000)
    chunk_chars: int | None = Field(default=None, ge=1, le=100_000)
    chunks: int | None = Field(default=None, ge=1, le=100_000)
    # Multiplies every wait; 0 answers at once.
    time_scale: float = Field(default=1.0, ge=0, le=100)
    ping_seconds: float = Field(default=10.0, gt=0)

    # Small models hand over by the `escalate` tool when a question looks too hard.
    escalate: bool = True
    # Minimum cacheable prompt in tokens; unset goes by the model.
    cache_minimum: int | None = Field(default=None, ge=1)
    # Refuse what the real API refuses for the model: prefill, forced tools, thinking types, schema keywords.
    strict: bool = True
    # How many requests are remembered for `GET /simulator/requests`.
    journal_size: int = Field(default=200, ge=1, le=100_000)

    def timing(self, model_class: str) -> Timing:
        """Return the speed of a class of models, global values and the scale applied."""
        classes: Mapping[str, Timing] = {"haiku": self.haiku, "sonnet": self.sonnet, "opus": self.opus}
        own = classes[model_class]
        first = own.first_token_ms if self.first_token_ms is None else self.first_token_ms
        chunk = own.chunk_ms if self.chunk_ms is None else self.chunk_ms
        return Timing(
            first_token_ms=first * self.time_scale,
            chunk_ms=chunk * self.time_scale,
            chunk_chars=own.chunk_chars if self.chunk_chars is None else self.chunk_chars,
            chunks=own.chunks if self.chunks is None else self.chunks,
        )
