"""`python -m tiermesh_insights.export`: one tenant's log as JSON Lines or Parquet, read from the settings' database.

Kinds: decisions, usage, outcomes, endings, verdicts, samples (these hold text), and training: sampled questions with
what became of them, as `tiermesh train` takes them. Parquet is written by DuckDB, which only this command needs.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select
from tiermesh.insights.v1 import insights_service_pb2 as pb
from tiermesh_runtime.settings import load_settings, with_password

from tiermesh_insights.evidence import case_of, turn_of
from tiermesh_insights.settings import InsightsSettings
from tiermesh_insights.store import Store, StoreUnavailableError
from tiermesh_insights.store.database import Database
from tiermesh_insights.tables import DECISIONS, ENDINGS, OUTCOMES, SAMPLES, USAGE, VERDICTS
from tiermesh_insights.translation import decision_row

_TABLES = {
    "decisions": (DECISIONS, "decided_at"),
    "usage": (USAGE, "started_at"),
    "outcomes": (OUTCOMES, "at"),
    "endings": (ENDINGS, "at"),
    "verdicts": (VERDICTS, "at"),
    "samples": (SAMPLES, "at"),
}
_PAGE = 2000
_NO_LABEL = frozenset({"", "no_signal"})


async def rows(database: Database, kind: str, tenant: str, since: datetime | None) -> AsyncIterator[Mapping[str, Any]]:
    """Yield a table's rows of one tenant, oldest first, page by page.

    Of serialized records only what a decision was made on is kept.
    """
    table, moment = _TABLES[kind]
    columns = [column for column in table.columns if column.name != "record" or kind == "decisions"]
    keys = [table.c[moment], *(column for column in table.primary_key if column.name != moment)]
    after = since
    offset = 0
    while True:
        statement = select(*columns).where(table.c.tenant == tenant).order_by(*keys).limit(_PAGE).offset(offset)
        if after is not None:
            statement = statement.where(table.c[moment] >= after)
        page = await database.rows(statement)
        for row in page:
            yield _plain_row(dict(zip((column.name for column in columns), row, strict=True)))
        if len(page) < _PAGE:
            return
        offset += _PAGE


def _plain_row(row: dict[str, Any]) -> dict[str, Any]:
    """The row with its decision's inputs, as `tiermesh replay --log` takes them, instead of the whole record."""
    record = row.pop("record", None)
    if record is not None:
        row["inputs"] = base64.b64encode(pb.DecisionRecord.FromString(record).inputs).decode()
    return row


async def training(store: Store, database: Database, tenant: str) -> AsyncIterator[Mapping[str, Any]]:
    """Yield sampled questions with the labels that they were given and what became of tier 1 on them.

    `route` is the route that turned out right where the outcome says so: what tier 1 failed on needs tier 2, what it
    would have done needs tier 1. The other labels are the classifier's own, so turns on which it had none on some axis
    are left out, as are turns without an outcome and those that lean on earlier ones.
    """
    async for sample in rows(database, "samples", tenant, None):
        record = await store.reading.one(tenant, decision_id=sample["decision_id"], request_id="")
        if record is None or sample["kind"] != "served" or json.loads(sample["context_json"] or "[]"):
            continue
        message = pb.DecisionRecord.FromString(record)
        turn = turn_of(decision_row(message))
        case = case_of(turn, await store.reading.outcomes_of(tenant, turn.decision_id))
        if not case.labelled or case.success is None or turn.route not in ("tier1", "tier2"):
            continue
        scores = message.decision.scores
        labels = {
            "intent": scores.intent.label,
            "cardinality": scores.scope.cardinality.label,
            "temporal": scores.scope.temporal.label,
            "aggregation": scores.scope.aggregation.label,
        }
        if _NO_LABEL & set(labels.values()):
            continue
        yield {
            "id": turn.decision_id,
            "conversation": None,
            "text": sample["question"],
            **labels,
            "position": scores.conversation.position.label or "opening",
            "needs_context": scores.conversation.needs_context.label == "yes",
            "ambiguous": scores.difficulty.ambiguous.label == "yes",
            "multi_step": scores.difficulty.multi_step.label == "yes",
            "route": "tier1" if case.success >= 0.5 else "tier2",
            "success": round(case.success, 4),
            "weight": round(case.weight, 4),
        }


async def write(store: Store, database: Database, options: argparse.Namespace) -> int:
    """Write the file; return how many rows it has."""
    found = (
        training(store, database, options.tenant)
        if options.kind == "training"
        else rows(database, options.kind, options.tenant, options.since)
    )
    count = 0
    parquet = options.out.suffix == ".parquet"
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "rows.jsonl" if parquet else options.out
        with lines.open("w", encoding="utf-8") as file:
            async for row in found:
                file.write(json.dumps(row, ensure_ascii=False, default=_plain) + "\n")
                count += 1
        if parquet and count:  # DuckDB cannot tell the columns of nothing
            _to_parquet(lines, options.out)
    return count


def _to_parquet(lines: Path, out: Path) -> None:
    import duckdb

    with duckdb.connect() as connection:
        connection.read_json(str(lines), format="newline_delimited").write_parquet(str(out))


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(type(value).__name__)


async def run(options: argparse.Namespace) -> int:
    """Export; return the exit code."""
    try:
        database = await Database.open(_address(), migrate=False)
        store = Store(database)
        try:
            count = await write(store, database, options)
        finally:
            await store.close()
    except (StoreUnavailableError, OSError) as error:
        sys.stderr.write(f"cannot export: {error}\n")
        return 1
    sys.stdout.write(
        f"{count} rows in {options.out}\n" if count or options.out.suffix == ".jsonl" else "no rows, so no file\n"
    )
    return 0


def _address() -> str:
    settings = load_settings(InsightsSettings, [])
    return with_password(settings.database, settings.database_password_file)


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    made = argparse.ArgumentParser(prog="python -m tiermesh_insights.export")
    made.add_argument("kind", choices=[*sorted(_TABLES), "training"])
    made.add_argument("--tenant", required=True)
    made.add_argument("--since", type=lambda day: datetime.fromisoformat(day).replace(tzinfo=UTC), help="ISO 8601 day")
    made.add_argument("--out", type=_file, required=True, help="file that ends with .jsonl or .parquet")
    return made


def _file(name: str) -> Path:
    if not name.endswith((".jsonl", ".parquet")):
        raise argparse.ArgumentTypeError(f"{name}: end it with .jsonl or .parquet")
    return Path(name)


if __name__ == "__main__":
    sys.exit(asyncio.run(run(parser().parse_args())))
