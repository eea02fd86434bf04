"""What a model's stated confidence has been worth: from its word to the share of right answers, fitted outside of it.

The curves come from a file (`tiermesh calibrate` writes it). One belongs to a model and to the prompt that asked: for
any other it says nothing, and is refused.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tiermesh_executor.bounce.confidence import ASK_VERSION
from tiermesh_executor.configuration import ConfigurationError

FORMAT: Literal["tiermesh-stated-confidence-1"] = "tiermesh-stated-confidence-1"
_MEND = "fit it again with `tiermesh calibrate`"
Share = Annotated[float, Field(ge=0, le=1)]


def asked_with(prompt_version: str) -> str:
    """The version of the whole prompt that makes a model state its confidence: the tag's, and the words that ask."""
    return f"{prompt_version}+{ASK_VERSION}"


@dataclass(frozen=True, slots=True)
class Stated:
    """What a model said of its own answer."""

    stated: float
    model: str
    prompt_version: str
    # Share of right answers at this word; None without a calibration of the model.
    calibrated: float | None = None
    calibration_version: str = ""


class _Curve(BaseModel):
    """Knots that rise; straight lines between them, level beyond."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    stated: tuple[Share, ...] = Field(min_length=1)
    right: tuple[Share, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if len(self.stated) != len(self.right):
            raise ValueError("stated and right differ in length")
        if list(self.stated) != sorted(set(self.stated)) or list(self.right) != sorted(self.right):
            raise ValueError("stated and right must rise")
        return self

    def at(self, stated: float) -> float:
        after = bisect_right(self.stated, stated)
        if after in (0, len(self.stated)):
            return self.right[min(after, len(self.right) - 1)]
        low, high = self.stated[after - 1], self.stated[after]
        part = (stated - low) / (high - low)
        return self.right[after - 1] + part * (self.right[after] - self.right[after - 1])


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["tiermesh-stated-confidence-1"]
    prompt_version: str
    curves: Mapping[str, _Curve] = Field(min_length=1)
    provenance: Mapping[str, Any]


class Calibration:
    """The curves of a deployment's models; empty where nothing was measured."""

    def __init__(self, curves: Mapping[str, _Curve] | None = None, *, version: str = "") -> None:
        """By model."""
        self.version = version
        self._curves = curves or {}

    def read(self, stated: float, model: str, prompt_version: str) -> Stated:
        """A model's word with what it has been worth."""
        curve = self._curves.get(model)
        asked = asked_with(prompt_version)
        if curve is None:
            return Stated(stated, model, asked)
        return Stated(stated, model, asked, curve.at(stated), self.version)


def load_calibration(path: Path, *, models: Collection[str], prompt_version: str) -> Calibration:
    """Raises ConfigurationError when the file is of another prompt, or of models that this deployment does not ask."""
    raw = path.read_bytes()
    try:
        found = _File.model_validate_json(raw)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, each['loc'])) or 'the file'}: {each['msg']}" for each in error.errors()]
        raise ConfigurationError([f"{path}: {problem}; {_MEND}" for problem in problems]) from error
    problems = []
    expected = asked_with(prompt_version)
    if found.prompt_version != expected:
        problems.append(f"prompt_version: measured with {found.prompt_version!r}, this deployment asks {expected!r}")
    problems += [
        f"curves.{model}: this deployment asks {', '.join(sorted(models))} alone"
        for model in found.curves
        if model not in models
    ]
    if problems:
        raise ConfigurationError([f"{path}: {problem}; {_MEND}" for problem in problems])
    return Calibration(found.curves, version=f"stated-{hashlib.sha256(raw).hexdigest()[:12]}")
