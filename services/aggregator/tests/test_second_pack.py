"""Somebody else's tables behind the same code: the pack of open records, over small files of the same columns."""

import asyncio
import csv
import random
from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from opentelemetry import metrics, trace
from tiermesh_aggregator.answering import Answering, Database
from tiermesh_aggregator.engines.duck import DuckEngine
from tiermesh_aggregator.precomputing import Views
from tiermesh_aggregator.query import (
    Aggregation,
    Answer,
    Filter,
    Moment,
    OutlierRule,
    Period,
    Population,
    Query,
    Viewer,
)
from tiermesh_aggregator.seed import main as seed
from tiermesh_pack.pack import load_pack

root = Path(__file__).parents[3]
folder = root / "packs" / "open-records"
year = Period(date(2017, 1, 1), date(2018, 1, 1))
parties, categories = ("Red", "Blue", "Independent"), ("Car Costs", "Travelling Allowance", "Telecommunications")


def made(path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both files, with invented rows."""
    dice = random.Random(11)
    members = [(f"Member {n}", dice.choice(parties), dice.choice(("Victoria", "Tasmania"))) for n in range(12)]
    expenses = []
    for _ in range(400):
        name, party, state = dice.choice(members)
        day = date(2017, 1, 1) + timedelta(days=dice.randrange(360))
        amount = round(dice.choice((1, 1, 1, -0.1)) * dice.uniform(5, 900), 2)
        kind = dice.choice(categories)
        expenses.append(
            {
                "Name": name,
                "MemberType": "Senator" if name.endswith("1") else "Representative",
                "Electorate": "",
                "State": state,
                "Party": party,
                "Category": kind,
                "SubCategory": f"{kind} - {dice.choice('ab')}",
                "Location": dice.choice(("", "Canberra")),
                "Details": "",
                "Nights": dice.choice(("", "2")),
                "date_iso": day.isoformat(),
                "amount_num": amount,
            }
        )
    absences = [
        {
            "ID": dice.randint(1, 15),
            "Reason for absence": dice.choice((0, 13, 23)),
            "Month of absence": dice.randint(0, 12),
            "Day of the week": dice.randint(2, 6),
            "Seasons": dice.randint(1, 4),
            "Service time": 5,
            "Age": dice.randint(27, 58),
            "Distance from Residence to Work": dice.randint(5, 52),
            "Disciplinary_failure": dice.randint(0, 1),
            "Absenteeism_time_in_hours": dice.choice((1, 2, 8, 40, 80)),
        }
        for _ in range(200)
    ]
    for name, rows in (("mp_expenses.csv", expenses), ("absenteeism.csv", absences)):
        with (path / name).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return pd.DataFrame(expenses), pd.DataFrame(absences)


class Records:
    """The service's questions over the second pack."""

    def __init__(self, answering: Answering, expenses: pd.DataFrame, absences: pd.DataFrame) -> None:
        self.answering, self.expenses, self.absences = answering, expenses, absences

    async def __call__(self, query: Query, person: str = "P0001", *roles: str) -> Answer:
        viewer = Viewer(person, frozenset(roles))
        return await self.answering.answer(query, Moment(date(2017, 12, 31), 7), viewer, 20)


@pytest.fixture
async def records(tmp_path: Path) -> AsyncIterator[Records]:
    expenses, absences = made(tmp_path)
    database = f"duckdb:///{tmp_path}/records.duckdb"
    arguments = ["--pack", str(folder), "--database", database, "--source", str(tmp_path)]
    assert await asyncio.to_thread(seed, arguments) == 0
    pack = load_pack(folder)
    engine = DuckEngine(tmp_path / "records.duckdb", memory="256MB")
    views = Views(pack, engine)
    await views.look()
    answering = Answering(pack, Database(engine, trace.get_tracer("test"), metrics.get_meter("test")), views)
    yield Records(answering, expenses, absences)
    await engine.close()


def pairs(answer: Answer, key: str, value: str) -> dict[Any, float]:
    names = [column.name for column in answer.table.columns]
    return {row[names.index(key)]: float(row[names.index(value)] or 0) for row in answer.table.rows}


async def test_published_expenses_are_answered_to_anybody_as_pandas_does(records: Records) -> None:
    everybody = Population.COMPANY
    ranked = await records(Query("claims", Aggregation.RANK, ("amount",), limit=3, population=everybody))
    plain = records.expenses.groupby("Name").amount_num.sum().sort_values(ascending=False)
    assert list(pairs(ranked, "employee", "amount")) == list(plain.index[:3])
    assert ranked.table.view == "claims_monthly"
    by_party = await records(Query("claims", Aggregation.SUM, ("amount",), ("party", "category"), period=year))
    plain = records.expenses.groupby(["Party", "Category"]).amount_num.sum().round(2)
    names = [column.name for column in by_party.table.columns]
    got = {
        (row[names.index("party")], row[names.index("category")]): float(row[names.index("amount")])
        for row in by_party.table.rows
    }
    assert got == pytest.approx(plain.to_dict())
    fiscal = await records(Query("claims", Aggregation.TREND, ("lines",), ("fiscal_year",), period=year))
    first = int((records.expenses.date_iso < "2017-07-01").sum())
    assert pairs(fiscal, "fiscal_year", "lines") == {"2016-07-01": first, "2017-07-01": 400 - first}
    median = await records(Query("claims", Aggregation.SUM, ("median_line",), period=year))
    assert float(median.table.rows[0][0]) == pytest.approx(records.expenses.amount_num.median(), abs=0.01)


async def test_names_of_parties_are_found_and_repayments_are_negative(records: Records) -> None:
    red = await records(Query("claims", Aggregation.SUM, ("repaid",), departments=("red",)))
    rows = records.expenses[(records.expenses.Party == "Red") & (records.expenses.amount_num <= 0)]
    assert float(red.table.rows[0][0]) == pytest.approx(rows.amount_num.sum(), abs=0.01)
    assert red.table.rows[0][0] == str(red.table.rows[0][0])


async def test_absences_are_open_to_auditors_and_in_large_groups_to_others(records: Records) -> None:
    by_reason = Query("absence", Aggregation.SUM, ("hours",), ("reason",), population=Population.COMPANY)
    auditor = await records(by_reason, "P0001", "auditor")
    plain = records.absences.groupby("Reason for absence").Absenteeism_time_in_hours.sum()
    assert sorted(pairs(auditor, "reason", "hours").values()) == sorted(plain)
    anybody = await records(by_reason)
    assert pairs(anybody, "reason", "hours") == pairs(auditor, "reason", "hours"), "each group has five and more"
    single = Query("absence", Aggregation.LIST, ("absences",), limit=1000, population=Population.COMPANY)
    assert (await records(single)).table.rows == []
    own = await records(single, "W01")
    assert len(own.table.rows) == int((records.absences.ID == 1).sum())
    narrow = Query("absence", Aggregation.SUM, ("hours",), ("age_group",), population=Population.COMPANY)
    assert (await records(narrow)).table.rows == [], "ages single people out"


async def test_long_absences_stand_out(records: Records) -> None:
    query = Query("absence", Aggregation.OUTLIERS, outliers=OutlierRule(over_limit=True), limit=1000)
    found = await records(query, "P0001", "auditor")
    assert len(found.table.rows) == int((records.absences.Absenteeism_time_in_hours > 40).sum())
    winter = Query("absence", Aggregation.COUNT, ("absences",), filters=(Filter("season", "in", ("winter",)),))
    counted = await records(winter, "P0001", "auditor")
    assert counted.table.rows[0][0] == int((records.absences.Seasons == 3).sum())


def test_the_loader_says_what_lacks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--pack", str(folder), "--database", f"duckdb:///{tmp_path}/x.duckdb"]
    assert seed(arguments) == 1
    assert "--source" in capsys.readouterr().err
    assert seed([*arguments, "--source", str(tmp_path)]) == 1
    assert "0 files like *absenteeism*.csv" in capsys.readouterr().err
