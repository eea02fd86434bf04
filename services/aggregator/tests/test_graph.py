"""GraphQL: it answers what `Aggregate` answers, and every gate refuses with its name before anything is read."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from tiermesh_aggregator.failures import GraphRefusedError
from tiermesh_aggregator.graph.gates import Limits
from tiermesh_aggregator.graph.querying import Graph, GraphAnswer
from tiermesh_aggregator.promote import main as promote
from tiermesh_aggregator.query import Aggregation, Filter, Moment, Ordering, Period, Population, Query, Viewer
from tiermesh_aggregator.tools.tool import Call
from tiermesh_pack.pack import Pack

root = Path(__file__).parents[3]


@pytest.fixture
def graph(asking: Any, pack: Pack) -> Graph:
    return Graph(asking.answering, pack.operations)


def call(moment: Moment, person: str = "E00014", *roles: str) -> Call:
    return Call(Viewer(person, frozenset(roles or ("employee", "manager"))), "acme", moment, 20, "r1")


async def run(
    graph: Graph, moment: Moment, document: str, person: str = "E00014", *roles: str, **variables: Any
) -> GraphAnswer:
    return await graph.query(document, json.dumps(variables), call(moment, person, *roles), is_person=True)


async def refused(graph: Graph, moment: Moment, document: str, variables: str = "") -> GraphRefusedError:
    with pytest.raises(GraphRefusedError) as error:
        await graph.query(document, variables, call(moment), is_person=True)
    return error.value


async def test_a_document_answers_what_the_same_question_answers(asking: Any, graph: Graph, moment: Moment) -> None:
    document = """query ($from: String!) {
      leave(fromDate: $from, toDate: "2026-12-31", population: ALL_REPORTS,
            filters: [{field: leave_type, values: ["annual"]}],
            orderBy: [{field: leave_days, descending: true}], limit: 5) {
        rows { employee employee_id leave_days }
        caption truncated
      }
    }"""
    answer = await run(graph, moment, document, **{"from": "2026-01-01"})
    query = Query(
        "leave",
        Aggregation.RANK,
        ("leave_days",),
        ("employee",),
        (Filter("leave_type", "in", ("annual",)),),
        Period(date(2026, 1, 1), date(2027, 1, 1)),
        (Ordering("leave_days", descending=True),),
        5,
        Population.ALL_REPORTS,
    )
    plain = (await asking(query)).table
    data = json.loads(answer.data)["leave"]
    names = [column.name for column in plain.columns]
    wanted = ("employee", "employee_id", "leave_days")
    assert data["rows"] == [{name: row[names.index(name)] for name in wanted} for row in plain.rows]
    assert data["caption"] == plain.caption
    assert answer.tables[0].rows == plain.rows
    assert answer.statements == 1


async def test_aliases_fragments_and_merged_fields_are_one_statement_per_root_field(
    graph: Graph, moment: Moment
) -> None:
    document = """
    { team: leave(population: ALL_REPORTS) { ...figures }
      me: leave(population: SELF) { ...figures }
      me: leave(population: SELF) { rows { requests: leave_requests } } }
    fragment figures on LeaveAnswer { rows { days: leave_days } ... on LeaveAnswer { notes } }
    """
    answer = await run(graph, moment, document)
    data = json.loads(answer.data)
    assert set(data) == {"team", "me"}
    assert set(data["me"]["rows"][0]) == {"days", "requests"}
    assert answer.statements == 2


@pytest.mark.parametrize("name", ["leave_and_overtime_by_department", "my_team_at_a_glance"])
async def test_every_kept_operation_answers(graph: Graph, moment: Moment, name: str) -> None:
    answer = await run(graph, moment, graph.kept(name), "E00001", "employee", "manager")
    assert all(one["rows"] for one in json.loads(answer.data).values())
    with pytest.raises(GraphRefusedError, match="my_team_at_a_glance"):
        graph.kept("my_team_at_glance")


deep = "{ leave { rows { leave_days { a { b { c } } } } } }"
many = "{" + " ".join(f"a{i}: leave {{ rows {{ leave_days }} }}" for i in range(9)) + "}"
renamed = "{ leave { rows {" + " ".join(f"a{i}: leave_days" for i in range(21)) + "} } }"
wordy = "{ leave { rows {" + " leave_days" * 400 + "} } }"


@pytest.mark.parametrize(
    ("document", "gate"),
    [
        ("", "parse"),
        ("{", "parse"),
        ("\x00", "parse"),
        ("{" * 5000, "parse"),
        ("{ leave(people: [" + '"a",' * 4000 + "]) { rows { leave_days } } }", "parse"),
        ("mutation { leave { rows { leave_days } } }", "operation"),
        ("subscription { leave { rows { leave_days } } }", "operation"),
        ("query A { leave { caption } } query B { leave { caption } }", "operation"),
        (wordy, "nodes"),
        (renamed, "aliases"),
        ("{ leave @include(if: true) { caption } }", "directives"),
        (deep, "validate"),
        ("{ leave { rows { salary } } }", "validate"),
        ("{ employees { full_name } }", "validate"),
        ("{ leave { ...a } } fragment a on LeaveAnswer { ...b } fragment b on LeaveAnswer { ...a }", "validate"),
        ("{ leave(limit: 99999999999) { caption } }", "validate"),
        (many, "fields"),
        ("{ leave { rows { employee } } }", "selection"),
        ("{ leave { caption } }", "selection"),
        ('{ leave(people: ["Nobody At All"]) { rows { leave_days } } }', "arguments"),
        ('{ leave(people: ["Anna"]) { rows { leave_days } } }', "arguments"),
        ('{ leave(people: ["\\u0000"]) { rows { leave_days } } }', "arguments"),
        ('{ leave(fromDate: "2026-02-31") { rows { leave_days } } }', "arguments"),
        ('{ leave(fromDate: "2026-02-01", toDate: "2026-01-01") { rows { leave_days } } }', "arguments"),
        ("{ leave(limit: 0) { rows { leave_days } } }", "arguments"),
        ("{ leave(limit: 1000000000) { rows { leave_days } } }", "arguments"),
        ('{ leave(people: ["' + "a" * 501 + '"]) { rows { leave_days } } }', "arguments"),
        ('{ leave(filters: [{field: leave_type, values: ["x\' OR 1=1"]}]) { rows { leave_days } } }', "arguments"),
    ],
)
async def test_each_gate_refuses_with_its_name(graph: Graph, moment: Moment, document: str, gate: str) -> None:
    error = await refused(graph, moment, document)
    assert (error.gate, bool(str(error))) == (gate, True), str(error)


async def test_numbers_of_a_refusal_are_machine_readable(graph: Graph, moment: Moment) -> None:
    error = await refused(graph, moment, many)
    assert (error.found, error.limit) == (9, 8)


@pytest.mark.parametrize("variables", ["[]", "{", "nul", '{"n": "x"}', '{"n": {"a": 1}}', "[" * 100_000])
async def test_variables_that_do_not_fit_are_refused(graph: Graph, moment: Moment, variables: str) -> None:
    document = "query ($n: Int!) { leave(limit: $n) { rows { leave_days } } }"
    assert (await refused(graph, moment, document, variables)).gate == "variables"


async def test_what_the_database_expects_to_be_dear_is_refused_before_it_runs(
    asking: Any, moment: Moment, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = "{ attendance(allTime: true, population: COMPANY) { rows { department hours_worked } } }"
    small = Graph(asking.answering, {}, Limits(rows=10))

    async def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("nothing may run")

    monkeypatch.setattr(asking.answering, "answer", never)
    error = await refused(small, moment, document)
    assert error.gate == "rows"
    assert error.found is not None
    assert error.found > 100
    if asking.engine.system == "postgresql":
        assert (await refused(Graph(asking.answering, {}, Limits(cost=1)), moment, document)).gate == "cost"


async def test_two_fields_of_one_document_cannot_be_subtracted(graph: Graph, moment: Moment) -> None:
    document = """{
      a: leave(population: COMPANY, fromDate: "2026-01-01", toDate: "2026-12-31") { rows { leave_days_applied } notes }
      b: leave(population: COMPANY, fromDate: "2026-01-01", toDate: "2026-12-30") { rows { leave_days_applied } notes }
    }"""
    data = json.loads((await run(graph, moment, document, "E00060", "employee")).data)
    assert not any("Counts only" in note for note in data["a"]["notes"])
    assert any("Counts only" in note for note in data["b"]["notes"])


async def test_rows_are_those_that_the_caller_may_see(
    graph: Graph, moment: Moment, visible: Callable[[str], set[str]]
) -> None:
    document = "{ performance(allTime: true, population: COMPANY, limit: 1000) { rows { employee_id rating } } }"
    for person in ("E00060", "E00014", "E00001"):
        rows = json.loads((await run(graph, moment, document, person, "employee")).data)["performance"]["rows"]
        assert {row["employee_id"] for row in rows} <= visible(person)


async def test_introspection_shows_a_job_only_what_its_roles_open(graph: Graph, moment: Moment) -> None:
    document = '{ __schema { queryType { fields { name } } } __type(name: "PayrollRow") { fields { name } } }'

    async def seen(*roles: str, is_person: bool) -> Any:
        answer = await graph.query(document, "", call(moment, "service:audit", *roles), is_person=is_person)
        return json.loads(answer.data)

    person = await seen("employee", is_person=True)
    assert {one["name"] for one in person["__schema"]["queryType"]["fields"]} >= {"leave", "payroll", "people"}
    job = await seen("nothing", is_person=False)
    names = {one["name"] for one in job["__schema"]["queryType"]["fields"]}
    assert "people" in names, "the directory is everybody's"
    assert not names & {"payroll", "attendance", "expenses"}
    assert job["__type"] is None
    error = "{ payroll { rows { annual_salary } } }"
    with pytest.raises(GraphRefusedError, match="Cannot query field"):
        await graph.query(error, "", call(moment, "service:audit", "nothing"), is_person=False)


def test_only_what_would_be_answered_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import shutil

    shutil.copytree(root / "packs/hr", tmp_path / "hr", ignore=shutil.ignore_patterns("examples-*"))
    good, bad = tmp_path / "good.graphql", tmp_path / "bad.graphql"
    good.write_text("{ leave { rows { department leave_days } } }")
    bad.write_text("{ leave { rows { department salary } } }")
    pack = ["--pack", str(tmp_path / "hr")]
    assert promote([*pack, "--name", "days", str(good)]) == 0
    assert (tmp_path / "hr/operations/days.graphql").read_text() == good.read_text()
    assert promote([*pack, "--name", "pay", str(bad)]) == 1
    assert promote([*pack, "--name", "../pay", str(good)]) == 1
    assert "salary" in capsys.readouterr().err
    assert not (tmp_path / "hr/operations/pay.graphql").exists()
