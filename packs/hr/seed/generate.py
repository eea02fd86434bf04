"""The way into the HR data generator: `tables()` for loaders, and a small command that writes files.

Meant to be loaded by path (`importlib.util.spec_from_file_location`); the modules it is made of live in `hr_seed`
beside it and are loaded under a name of their own: nothing is put on `sys.path`, and two packs can be loaded at once.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Columns = Mapping[str, "np.ndarray[Any, Any]"]

_HERE = Path(__file__).resolve().parent
_PACKAGE = f"tiermesh_hr_seed_{zlib.crc32(str(_HERE).encode()):08x}"


def tables(
    *,
    employees: int = 500,
    years: int = 3,
    as_of: date,
    seed: int = 7,
    attendance_days: int | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> Iterator[tuple[str, Columns]]:
    """Yields (table, columns) chunks of at most 250,000 rows, every row after the rows that it refers to.

    `employees` are active on `as_of`; leavers come on top. The period begins on 1 January, `years` years before the
    year of `as_of`; nothing has happened after `as_of`, save leave that is planned. The same arguments make the same
    data.
    `attendance_days` is how many weekdays of attendance there are, counted back from `as_of`; by default the whole
    period for up to 5,000 employees and the last 60 for more. `progress` hears (table, share of it done, up to 1.0).
    Column conventions are in README.md. Raises ValueError for arguments that no data can be made for.
    """
    options = _module("options").Options(
        employees=employees, years=years, as_of=as_of, seed=seed, attendance_days=attendance_days
    )
    made: Iterator[tuple[str, Columns]] = _module("plan").make_tables(options, progress or (lambda table, share: None))
    return made


def _module(name: str) -> ModuleType:
    """A module of `hr_seed`."""
    if _PACKAGE not in sys.modules:
        folder = _HERE / "hr_seed"
        spec = importlib.util.spec_from_file_location(
            _PACKAGE, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        if spec is None or spec.loader is None:
            raise ImportError(f"{folder} is no package")
        package = importlib.util.module_from_spec(spec)
        sys.modules[_PACKAGE] = package
        spec.loader.exec_module(package)
    return importlib.import_module(f"{_PACKAGE}.{name}")


if __name__ == "__main__":
    sys.exit(_module("command").main(tables))
