"""Reads a YAML file into a pydantic model and reports every problem with the file's name.

Which files there are and what they mean is in `tags` and `prices`.
"""

from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

M = TypeVar("M", bound=BaseModel)


class ConfigurationError(Exception):
    """A start-up error; each problem names its file and place."""

    def __init__(self, problems: list[str]) -> None:
        """`problems` are lines for people."""
        super().__init__("\n".join(problems))
        self.problems = problems


def read_yaml(path: Path, model: type[M]) -> M:
    """Raises ConfigurationError with all problems at once."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(
            [f"{path}: cannot be read ({error.strerror}); set the path to an existing file"]
        ) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigurationError([f"{path}: is not valid YAML: {' '.join(str(error).split())}"]) from error
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise ConfigurationError(
            [f"{path}: {_place(problem['loc'])}: {problem['msg']}" for problem in error.errors()]
        ) from error


def _place(location: tuple[int | str, ...]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or "the file"
