"""The tag table: one row per purpose of a model call. Changing a row is a product decision.

The rows are data (`config/tags.yaml`); this module says what a row must hold.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tiermesh_executor.configuration import ConfigurationError, read_yaml
from tiermesh_executor.failures import UnknownTagError
from tiermesh_executor.models.request import CacheTtl, Effort, Thinking

REQUIRED_TAGS = frozenset({"answer-simple", "answer-complex", "plan-aggregate", "narrate"})
Milliseconds = Annotated[int, Field(ge=1, le=600_000)]
TagName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelTraits(_Strict):
    """What a model accepts, whatever the tag."""

    context_window: int = Field(default=200_000, ge=1_000)
    # Whether one tool can be forced; where not, the prompt has to ask for it.
    forced_tools: bool = True
    # Whether it takes the beginning of its own answer as the last message; most refuse it.
    prefill: bool = False
    # Largest temperature that it takes; null takes none at all.
    max_temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    # Shortest prefix that the provider caches.
    cache_minimum_tokens: int = Field(default=1_024, ge=0)


class Candidate(_Strict):
    """One model that may serve a tag."""

    provider: str = Field(min_length=1)
    model: str = Field(min_length=1)
    # Tiers of deployments that may use it; empty means every tier.
    tiers: tuple[Literal[1, 2, 3], ...] = ()
    # Null leaves both to the model's default.
    effort: Effort | None = None
    thinking: Thinking | None = None


class TagRow(_Strict):
    """One row. Every duration is in milliseconds."""

    candidates: tuple[Candidate, ...] = Field(min_length=1)
    max_tokens: int = Field(ge=1, le=65_536)
    # Null leaves it to the model; never more than the model takes.
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    deadline_ms: Milliseconds
    first_token_ms: Milliseconds
    stall_ms: Milliseconds
    # Text of ours that the call begins with; "caller" when the instructions come with the request.
    prompt_version: str = Field(min_length=1)
    # Lifetime of the cached prefix; null when caching does not pay.
    cache: CacheTtl | None = None
    # Tier 1 hands over when it states less confidence than this; null asks for no statement unless the caller does.
    least_confidence: Annotated[float, Field(ge=0, le=1)] | None = None
    judge_rubric: str = Field(min_length=1)
    # What catches it if it is wrong: no row without an answer to that.
    caught_by: str = Field(min_length=1)

    @model_validator(mode="after")
    def _limits_make_sense(self) -> Self:
        if self.first_token_ms > self.deadline_ms:
            raise ValueError("first_token_ms is longer than deadline_ms")
        if self.stall_ms > self.deadline_ms:
            raise ValueError("stall_ms is longer than deadline_ms")
        return self


class TagTable(_Strict):
    """All rows by tag, and the traits of the models in them."""

    models: Mapping[str, ModelTraits] = Field(default_factory=dict)
    tags: Mapping[TagName, TagRow] = Field(min_length=1)

    def row(self, tag: str) -> TagRow:
        """Raises UnknownTagError."""
        row = self.tags.get(tag)
        if row is None:
            raise UnknownTagError(f"There is no tag {tag!r}; the table has {', '.join(sorted(self.tags))}.")
        return row

    def traits(self, model: str) -> ModelTraits:
        """Of a model that is not listed, the careful defaults."""
        return self.models.get(model, ModelTraits())


def load_tags(path: Path, *, tier: int, providers: frozenset[str] | None, prompts: frozenset[str]) -> TagTable:
    """Raises ConfigurationError that lists everything that this deployment cannot work with.

    `providers` None leaves their names unchecked.
    """
    table = read_yaml(path, TagTable)
    problems = [f"tags.{tag}: the row is missing" for tag in sorted(REQUIRED_TAGS - set(table.tags))]
    for tag, row in table.tags.items():
        for place, candidate in enumerate(row.candidates):
            if providers is not None and candidate.provider not in providers:
                known = ", ".join(sorted(providers))
                problems.append(f"tags.{tag}.candidates[{place}].provider: {candidate.provider!r} is none of {known}")
        if not any(not candidate.tiers or tier in candidate.tiers for candidate in row.candidates):
            problems.append(f"tags.{tag}.candidates: none is for tier {tier}, which this deployment serves")
        if tag in REQUIRED_TAGS and row.prompt_version not in prompts:
            known = ", ".join(sorted(prompts))
            problems.append(f"tags.{tag}.prompt_version: {row.prompt_version!r} is none of {known}")
    if problems:
        raise ConfigurationError([f"{path}: {problem}" for problem in problems])
    return table
