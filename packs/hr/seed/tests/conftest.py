"""The generator loaded by path, as loaders do it, and one company of 300 as data frames."""

import importlib.util
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

SEED = Path(__file__).resolve().parents[1]
AS_OF = date(2025, 11, 21)
Frames = Mapping[str, pd.DataFrame]


@pytest.fixture(scope="session")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hr_seed_generate_under_test", SEED / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def make(generate: ModuleType) -> Callable[..., Frames]:
    """Makes a company and returns its tables; `only` stops after those tables."""

    def frames(only: set[str] | None = None, **arguments: Any) -> Frames:
        parts: dict[str, list[pd.DataFrame]] = {}
        for table, columns in generate.tables(**arguments):
            if only is not None and only <= set(parts) and table not in only:
                break
            parts.setdefault(table, []).append(pd.DataFrame(columns))
        return {table: pd.concat(chunks, ignore_index=True) for table, chunks in parts.items()}

    return frames


@pytest.fixture(scope="session")
def company(make: Callable[..., Frames]) -> Frames:
    return make(employees=300, years=3, as_of=AS_OF, seed=7)


@pytest.fixture(scope="session")
def today() -> pd.Timestamp:
    return pd.Timestamp(AS_OF)


@pytest.fixture(scope="session")
def schema() -> dict[str, dict[str, Any]]:
    document = yaml.safe_load((SEED.parent / "schema.yaml").read_text(encoding="utf-8"))
    return {table["name"]: table for table in document["tables"]}


@pytest.fixture(scope="session")
def personas() -> dict[str, dict[str, Any]]:
    document = yaml.safe_load((SEED / "personas.yaml").read_text(encoding="utf-8"))
    return {entry["key"]: entry for entry in document["personas"]}


@pytest.fixture(scope="session")
def day_off(company: Frames) -> Callable[[pd.Series, pd.Series], np.ndarray]:
    """Whether each (employee, day) is a weekend or a public holiday at the employee's office."""
    country = company["employees"].merge(company["locations"], on="location_id").set_index("employee_id")["country"]
    off = set(zip(company["holidays"]["country"], company["holidays"]["day"], strict=True))

    def check(employee: pd.Series, day: pd.Series) -> np.ndarray:
        pairs = zip(employee.map(country), day, strict=True)
        return np.array([pair in off or pair[1].weekday() > 4 for pair in pairs])

    return check
