"""What each model of the real API accepts: window, output limit, cache minimum, prefill, forced tools, thinking.

Taken from the public model, prompt-caching and migration pages of platform.claude.com, as of 2026-11. A model
that is not in the table gets the values of its class. Not here: speed (`settings.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final, Literal

ModelClass = Literal["haiku", "sonnet", "opus"]


@dataclass(frozen=True, slots=True)
class ModelTraits:
    """The limits of one model."""

    model_class: ModelClass
    window: int = 1_000_000
    max_output: int = 128_000
    cache_minimum: int = 1024
    prefill: bool = False
    forced_tools: bool = True
    thinking: frozenset[str] = frozenset({"adaptive", "disabled"})


_OLD = ModelTraits(
    model_class="sonnet",
    window=200_000,
    max_output=64_000,
    prefill=True,
    thinking=frozenset({"enabled", "disabled"}),
)
_MIDDLE: Final = frozenset({"enabled", "adaptive", "disabled"})
_CLASS_DEFAULTS: Final[dict[ModelClass, ModelTraits]] = {
    "haiku": ModelTraits(model_class="haiku", cache_minimum=2048),
    "sonnet": ModelTraits(model_class="sonnet", cache_minimum=1024),
    "opus": ModelTraits(model_class="opus", cache_minimum=1024),
}
# Longest matching beginning wins.
_KNOWN: Final[dict[str, ModelTraits]] = {
    "claude-haiku-4-5": replace(_OLD, model_class="haiku", cache_minimum=4096),
    "claude-haiku-5-5": ModelTraits(model_class="haiku", cache_minimum=2048),
    "claude-sonnet-4-5": _OLD,
    "claude-sonnet-4-6": ModelTraits(model_class="sonnet", thinking=_MIDDLE),
    "claude-sonnet-5": ModelTraits(model_class="sonnet"),
    "claude-sonnet-5-5": ModelTraits(
        model_class="sonnet", forced_tools=False, thinking=frozenset({"adaptive", "between_tools"})
    ),
    "claude-opus-4-5": replace(_OLD, model_class="opus", cache_minimum=4096),
    "claude-opus-4-6": ModelTraits(model_class="opus", cache_minimum=4096, thinking=_MIDDLE),
    "claude-opus-4-7": ModelTraits(model_class="opus", cache_minimum=2048),
    "claude-opus-4-8": ModelTraits(model_class="opus"),
    "claude-opus-5": ModelTraits(model_class="opus", cache_minimum=512),
    "claude-opus-5-5": ModelTraits(
        model_class="opus", cache_minimum=512, forced_tools=False, thinking=frozenset({"adaptive"})
    ),
    "claude-fable-5": ModelTraits(model_class="opus", cache_minimum=512),
    "claude-fable-5-1": ModelTraits(
        model_class="opus", cache_minimum=512, forced_tools=False, thinking=frozenset({"adaptive"})
    ),
}
_NAME: Final = re.compile(r"^(claude|simulator)[A-Za-z0-9.@:_-]*$")


def traits_of(model: str) -> ModelTraits | None:
    """Return what a model accepts; None for a name that no provider would know."""
    if not _NAME.match(model):
        return None
    matches = [name for name in _KNOWN if model == name or model.startswith(name + "-")]
    if matches:
        return _KNOWN[max(matches, key=len)]
    for model_class, traits in _CLASS_DEFAULTS.items():
        if model_class in model:
            return traits
    return _CLASS_DEFAULTS["opus"]
