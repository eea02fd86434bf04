"""A small valid pack that tests break on purpose."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FILES = {
    "pack.yaml": """\
name: shop
version: 1.2.3
defaults:
  time_zone: Europe/Lisbon
  currency: GBP
files:
  semantic: [semantic/*.yaml]
""",
    "schema.yaml": """\
tables:
  - name: departments
    primary_key: [department_id]
    columns:
      - {name: department_id, type: text}
      - {name: name, type: text}
  - name: employees
    primary_key: [employee_id]
    columns:
      - {name: employee_id, type: text}
      - {name: full_name, type: text}
      - {name: hired_on, type: date}
      - {name: left_on, type: date, nullable: true}
      - {name: department_id, type: text, references: departments.department_id}
  - name: reporting_lines
    primary_key: [manager_id, employee_id]
    columns:
      - {name: manager_id, type: text, references: employees.employee_id}
      - {name: employee_id, type: text, references: employees.employee_id}
      - {name: depth, type: integer}
  - name: sales
    primary_key: [sale_id]
    columns:
      - {name: sale_id, type: text}
      - {name: employee_id, type: text, references: employees.employee_id}
      - {name: sold_on, type: date}
      - {name: amount, type: "decimal(12,2)"}
    indexes: [[employee_id, sold_on]]
""",
    "semantic/model.yaml": """\
kind: model
person:
  table: employees
  key: employee_id
  name: full_name
  department: department_id
  departments: {table: departments, key: department_id, name: name}
  employed: {from: hired_on, to: left_on}
  reporting_lines: {table: reporting_lines, manager: manager_id, report: employee_id, depth: depth}
  joins:
    department: {table: departments, on: {department_id: department_id}}
  dimensions:
    employee: {label: Employee, kind: person, column: employee_id, show: full_name, identifying: true}
visibility:
  line: {reports: true, aggregates: none}
""",
    "semantic/sales.yaml": """\
kind: domain
name: sales
label: Sales
description: What was sold, by whom.
intents: [sales.history]
default_period: this_year
tool: {name: sales_team_aggregate, description: One bulk call over sales.}
entities:
  sales:
    label: Sales
    table: sales
    person: employee_id
    visibility: line
    times:
      sold: {kind: point, column: sold_on}
    default_time: sold
    dimensions: {}
measures:
  revenue: {label: Revenue, entity: sales, compute: sum, column: amount, unit: EUR}
""",
    "vocabulary/intents.yaml": """\
intents:
  sales.history:
    description: What was sold.
    family: sales
    kind: data
    domain: sales
    default_measure: revenue
    tools: [sales]
    neighbours:
      sales.policy: The rules of selling.
  sales.enter:
    description: To enter a sale.
    family: sales
    kind: write
  sales.policy:
    description: The rules of selling.
    family: sales
    kind: policy
""",
    "vocabulary/axes.yaml": """\
axes:
  cardinality: {description: Whose data., labels: {one: One., team: A team., org: All.}}
  temporal: {description: Which period., labels: {now: Now., window: A period., multi_year: Years.}}
  aggregation: {description: What to compute., labels: {none: Nothing., sum: A total., rank: The most.}}
  position: {description: Where it sits., labels: {opening: First., follow_up: Goes on.}}
  needs_context: {description: Leans on earlier turns., labels: {"yes": Yes., "no": No.}}
  ambiguous: {description: Unclear., labels: {"yes": Yes., "no": No.}}
  multi_step: {description: Several steps., labels: {"yes": Yes., "no": No.}}
  stakes: {description: What is at stake., labels: {low: Little., high: Much.}}
  surround: {description: What comes next., labels: {drill_down: Parts., act: An action.}}
""",
    "vocabulary/rules.yaml": """\
populations:
  company: [whole company, all shops]
rules:
  - name: most
    axis: aggregation
    label: rank
    strength: 0.9
    patterns: ['\\bwho\\b.*\\bmost\\b']
  - name: everybody
    axis: cardinality
    label: org
    strength: 0.9
    population: company
""",
    "handbook/selling.md": """\
# Selling

## Discounts
At most ten percent.

## Returns
Within 30 days.
""",
}

EXAMPLE = {
    "id": "a-1",
    "conversation": None,
    "text": "Who sold the most this year?",
    "intent": "sales.history",
    "cardinality": "team",
    "temporal": "window",
    "aggregation": "rank",
    "position": "opening",
    "needs_context": False,
    "ambiguous": False,
    "multi_step": False,
    "route": "aggregate",
}


class PackFolder:
    """A pack on disk and the ways to spoil it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, text: str) -> None:
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def change(self, name: str, old: str, new: str) -> None:
        text = (self.path / name).read_text(encoding="utf-8")
        assert old in text, f"{old!r} is not in {name}"
        self.write(name, text.replace(old, new, 1))

    def examples(self, *records: dict[str, Any]) -> None:
        lines = (json.dumps({**EXAMPLE, **record}) for record in records)
        self.write("examples/all.jsonl", "\n".join(lines) + "\n")


@pytest.fixture
def folder(tmp_path: Path) -> PackFolder:
    """A valid pack in a folder of its own."""
    made = PackFolder(tmp_path / "shop")
    for name, text in FILES.items():
        made.write(name, text)
    made.examples({})
    return made


@pytest.fixture
def problems_of() -> Callable[[PackFolder], list[str]]:
    """Loads a pack that must be refused, and tells its problems as "file:line: what"."""
    from tiermesh_pack import PackError, load_pack

    def found(folder: PackFolder) -> list[str]:
        with pytest.raises(PackError) as refused:
            load_pack(folder.path)
        return [f"{problem.file}:{problem.line}: {problem.what}" for problem in refused.value.problems]

    return found
