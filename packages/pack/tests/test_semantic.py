"""The semantic model: what loads, what is refused with file and line, what the classifier reads from it."""

from pathlib import Path

import pytest
from tiermesh_pack.problems import Problems
from tiermesh_pack.schema import Schema, load_schema
from tiermesh_pack.semantic import SemanticModel, grains, load_semantic

root = Path(__file__).parents[3] / "packs" / "hr"


def loaded(files: list[Path], folder: Path) -> tuple[SemanticModel, list[str]]:
    problems = Problems(folder)
    schema: Schema = load_schema(root / "schema.yaml", problems)
    model = load_semantic(files, schema, problems)
    return model, [str(one) for one in problems]


@pytest.fixture(scope="module")
def model() -> SemanticModel:
    model, problems = loaded(sorted((root / "semantic").glob("*.yaml")), root)
    assert problems == []
    return model


def changed(folder: Path, file: str, old: str, new: str) -> list[str]:
    """The problems of the HR model with one change in one file."""
    files = []
    for path in sorted((root / "semantic").glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        if path.name == file:
            assert old in text
            text = text.replace(old, new, 1)
        (folder / path.name).write_text(text, encoding="utf-8")
        files.append(folder / path.name)
    return loaded(files, folder)[1]


def test_the_hr_model_has_the_six_domains_to_the_same_depth(model: SemanticModel) -> None:
    assert set(model.domains) == {"leave", "attendance", "expenses", "performance", "payroll", "people"}
    for domain in model.domains.values():
        assert len(domain.measures) >= 10
        assert set(grains) <= set(domain.dimensions)
        assert {"employee", "department", "location"} <= set(domain.dimensions)
        assert domain.lists
        assert domain.lookups
        assert all(measure.synonyms for measure in domain.measures.values())


def test_every_data_intent_has_a_measure_for_every_aggregation(model: SemanticModel) -> None:
    for domain in model.domains.values():
        for intent in domain.intents:
            assert domain.default_list(intent) in domain.lists
            for aggregation in ("count", "sum", "average", "rank", "compare", "trend"):
                assert domain.default_measure(intent, aggregation) in domain.measures, (intent, aggregation)


def test_applying_and_taking_are_two_measures_told_apart_by_their_words(model: SemanticModel) -> None:
    measures = model.domains["leave"].measures
    assert "applied for" in measures["leave_days_applied"].synonyms
    assert measures["leave_days_applied"].time == "applied"
    assert model.domains["leave"].default_measure("leave.history", "rank") == "leave_days"


def test_closed_values_come_from_the_schema_and_get_the_models_words(model: SemanticModel) -> None:
    values = model.domains["leave"].dimensions["leave_type"].values
    assert {"annual", "sick", "parental", "unpaid", "study", "compassionate"} == set(values)
    assert "mc" in values["sick"]


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("leave.yaml", "column: days\n", "column: dayz\n", 'leave.yaml:93: "dayz" is no column'),
        ("leave.yaml", "table: leave_balances", "table: leave_balance", 'did you mean "leave_balances"?'),
        (
            "leave.yaml",
            "average_as: leave_days_per_person",
            "average_as: leave_per_head",
            "is no measure of this domain",
        ),
        ("leave.yaml", "on: {leave_type: leave_type}", "on: {leave_type: name}", "rows could multiply"),
        ("leave.yaml", "{kind: point, column: start_date,", "{kind: point, column: days,", "is of type decimal(6,2)"),
        ("leave.yaml", "      sick: [", "      sikc: [", 'did you mean "sick"?'),
        ("leave.yaml", "denominator: people.people_employed", "denominator: people.all", '"people.all" is no measure'),
        ("leave.yaml", "visibility: line", "visibility: lines", 'did you mean "line"?'),
        ("leave.yaml", "rank: leave_days,", "rank: leave_day,", 'did you mean "leave_days"?'),
        ("people.yaml", "    compute: count\n", "    compute: cuont\n", '"cuont" is not allowed here'),
        ("model.yaml", "column: grade", "column: grad", 'did you mean "grade"?'),
        ("model.yaml", "kind: model", "kind: modell", "neither model nor domain"),
        ("model.yaml", "table: exchange_rates", "table: exchange_rate", 'did you mean "exchange_rates"?'),
        ("model.yaml", "rate: rate_to_eur", "rate: rate_to_usd", 'did you mean "rate_to_eur"?'),
        ("model.yaml", "date: month", "date: rate_to_eur", "is of type decimal(12,6)"),
        ("model.yaml", "date: month", "date: currency", "may have several rates of a currency on a day"),
        ("model.yaml", "reporting: [EUR, ", "reporting: [", "not among the currencies of reporting"),
        ("model.yaml", "reporting: [EUR, ", "reporting: [EUR, euro, ", "euro"),
        ("expenses.yaml", "{column: currency, date: spent_on}", "{column: curency, date: spent_on}", '"currency"?'),
        ("expenses.yaml", "{column: currency, date: spent_on}", "{column: amount, date: spent_on}", "name the column"),
        ("expenses.yaml", "{column: currency, date: spent_on}", "{column: currency, date: merchant}", "type date"),
        ("expenses.yaml", "numerator: amount\n", "numerator: amount\n    currency: EUR\n", "not always EUR"),
        ("expenses.yaml", "    unit: claims\n", "    currency: {column: currency}\n", "a count is no money"),
    ],
)
def test_what_does_not_fit_is_told_with_file_line_and_mend(
    tmp_path: Path, file: str, old: str, new: str, expected: str
) -> None:
    problems = changed(tmp_path, file, old, new)
    assert any(expected in problem for problem in problems), problems
    assert all(".yaml:" in problem or "no file" in problem for problem in problems)


def test_money_without_rates_is_told_where_it_stands(tmp_path: Path) -> None:
    text = (root / "semantic" / "model.yaml").read_text(encoding="utf-8")
    rates = text[text.index("currencies:\n") : text.index("visibility:\n")]
    problems = changed(tmp_path, "model.yaml", rates, "")
    assert any("expenses.yaml:" in one and "no rates to convert with" in one for one in problems), problems


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "entity: leave_requests\n    time: start\n    grain",
            "entity: leave_request\n    time: start\n    grain",
            "no entity",
        ),
        ("time: start\n    grain: month", "time: away\n    grain: month", "no point"),
        ("measures: [leave_days]", "measures: [leave_dayz]", "no measure"),
        ("measures: [leave_days]", "measures: [leave_days_applied]", "another time"),
        ("measures: [leave_days]", "measures: [people_on_leave]", "other records or another time"),
        (
            "dimensions: [leave_type, leave_status]\n    measures: [leave_days]",
            "dimensions: [holiday_country]\n    measures: [leave_days]",
            "no dimension",
        ),
    ],
)
def test_a_view_that_could_not_answer_exactly_is_refused(tmp_path: Path, old: str, new: str, problem: str) -> None:
    found = changed(tmp_path, "leave.yaml", old, new)
    assert any(problem in one and "leave.yaml:" in one for one in found), found
