"""What loaders rely on: schema, order, keys, sizes, determinism, the files of the command."""

import hashlib
import subprocess
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

Frames = Mapping[str, pd.DataFrame]
SMALL = {"employees": 60, "years": 1, "as_of": date(2026, 1, 3)}


def digest(generate: ModuleType, **arguments: Any) -> str:
    found = hashlib.sha256()
    for table, columns in generate.tables(**arguments):
        for name, column in columns.items():
            found.update(f"{table}.{name}:{column.dtype}".encode())
            found.update("|".join(map(str, column)).encode() if column.dtype == object else column.tobytes())
    return found.hexdigest()


def test_the_same_arguments_make_identical_bytes(generate: ModuleType) -> None:
    assert digest(generate, **SMALL) == digest(generate, **SMALL)


def test_another_seed_makes_another_company(generate: ModuleType) -> None:
    assert digest(generate, **SMALL) != digest(generate, **SMALL, seed=8)


def test_every_table_has_the_columns_of_the_schema_in_order(company: Frames, schema: dict[str, Any]) -> None:
    assert set(company) == set(schema)
    for name, table in schema.items():
        assert list(company[name].columns) == [column["name"] for column in table["columns"]], name


def test_columns_come_in_the_documented_kinds(generate: ModuleType, schema: dict[str, Any]) -> None:
    kinds = {"text": "O", "date": "M", "timestamp": "M", "decimal": "f", "boolean": "b"}
    for name, columns in generate.tables(**SMALL):
        for column in schema[name]["columns"]:
            kind = column["type"].partition("(")[0]
            expected = kinds.get(kind, "f" if column.get("nullable") else "i")
            assert columns[column["name"]].dtype.kind == expected, (name, column["name"])


def test_only_nullable_columns_have_gaps_and_each_of_those_has_some(company: Frames, schema: dict[str, Any]) -> None:
    for name, table in schema.items():
        for column in table["columns"]:
            gaps = bool(company[name][column["name"]].isna().any())
            assert gaps == bool(column.get("nullable")), (name, column["name"])


def test_values_are_of_the_closed_sets_and_each_is_used(company: Frames, schema: dict[str, Any]) -> None:
    for name, table in schema.items():
        for column in table["columns"]:
            if "values" in column:
                used = set(company[name][column["name"]].unique())
                assert used <= set(column["values"]), (name, column["name"])
                # Goals that nobody has begun are only there at the start of a cycle.
                assert set(column["values"]) - used <= {"not_started"}, (name, column["name"])


def test_primary_keys_are_unique(company: Frames, schema: dict[str, Any]) -> None:
    for name, table in schema.items():
        assert not company[name].duplicated(table["primary_key"]).any(), name


def test_rows_come_after_the_rows_that_they_refer_to(generate: ModuleType, schema: dict[str, Any]) -> None:
    seen: dict[str, set[str]] = {}
    targets = {c["references"] for t in schema.values() for c in t["columns"] if "references" in c}
    for name, columns in generate.tables(**SMALL):
        for column in schema[name]["columns"]:
            if "references" in column:
                values = {value for value in columns[column["name"]] if value is not None}
                assert values <= seen[column["references"]], (name, column["name"])
        for target in targets:
            table, _, column = target.partition(".")
            if table == name:
                seen.setdefault(target, set()).update(columns[column])


def test_no_chunk_is_empty_or_above_the_limit(generate: ModuleType) -> None:
    for _, columns in generate.tables(**SMALL | {"employees": 400, "years": 3}):
        lengths = {len(column) for column in columns.values()}
        assert len(lengths) == 1
        assert 0 < lengths.pop() <= 250_000


def test_attendance_is_limited_for_a_large_company_and_on_request(generate: ModuleType) -> None:
    options = generate._module("options").Options
    limits = [options(size, 3, date(2025, 11, 21), 7, None).attendance_window for size in (5_000, 5_001)]
    assert limits == [None, 60]
    days = {
        day
        for name, columns in generate.tables(**SMALL, attendance_days=10)
        if name == "attendance_days"
        for day in columns["day"]
    }
    assert len(days) == 10
    assert max(days) == np.datetime64("2026-01-02")


def test_progress_ends_at_one_for_every_table(generate: ModuleType, schema: dict[str, Any]) -> None:
    shares: dict[str, list[float]] = {}
    for _ in generate.tables(**SMALL, progress=lambda table, share: shares.setdefault(table, []).append(share)):
        pass
    assert set(shares) == set(schema)
    assert all(values[-1] == 1.0 and values == sorted(values) for values in shares.values())


@pytest.mark.parametrize("bad", [{"employees": 49}, {"years": 0}, {"seed": -1}, {"attendance_days": 0}])
def test_impossible_arguments_are_refused_by_name(generate: ModuleType, bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        generate.tables(**SMALL | bad)


def test_duckdb_takes_chunks_as_they_are_into_tables_of_the_schema(
    generate: ModuleType, schema: dict[str, Any]
) -> None:
    with duckdb.connect() as connection:
        for name, table in schema.items():
            columns = [f'"{c["name"]}" {c["type"]}{"" if c.get("nullable") else " NOT NULL"}' for c in table["columns"]]
            key = ", ".join(table["primary_key"])
            connection.execute(f"CREATE TABLE {name} ({', '.join(columns)}, PRIMARY KEY ({key}))")
        for name, chunk in generate.tables(**SMALL):
            connection.register("chunk", dict(chunk))
            connection.execute(f"INSERT INTO {name} BY NAME SELECT * FROM chunk")
            connection.unregister("chunk")
        counted = connection.execute(
            "SELECT count(*), count(left_on), count(manager_id) FROM employees WHERE hired_on < DATE '2026-01-03'"
        ).fetchone()
        assert counted is not None
        assert counted[0] > counted[1] > 0
        assert counted[2] == counted[0] - 1
        rated = connection.execute("SELECT count(*), count(rating), max(rating) FROM reviews").fetchone()
        assert rated is not None
        assert rated[0] > rated[1] > 0
        assert rated[2] == 5


def test_the_command_writes_files_of_the_schema_types(tmp_path: Path, schema: dict[str, Any]) -> None:
    script = Path(__file__).resolve().parents[1] / "generate.py"
    arguments = ["--employees", "60", "--years", "1", "--as-of", "2026-01-03", "--out", str(tmp_path)]
    subprocess.run([sys.executable, str(script), *arguments], check=True, timeout=60, capture_output=True)
    assert {path.name.rpartition("-")[0] for path in tmp_path.iterdir()} == set(schema)
    with duckdb.connect() as connection:
        path = tmp_path / "payslips-0000.parquet"
        kinds = {row[0]: row[1] for row in connection.execute(f"DESCRIBE SELECT * FROM '{path}'").fetchall()}
    assert kinds["month"] == "DATE"
    assert kinds["gross"] == "DECIMAL(12,2)"
