"""The tables of a pack."""

import pytest
from tiermesh_pack import load_pack


def test_a_table_keeps_its_columns_keys_and_indexes(folder):
    sales = load_pack(folder.path).schema.tables["sales"]

    assert [column.name for column in sales.columns] == ["sale_id", "employee_id", "sold_on", "amount"]
    assert sales.primary_key == ("sale_id",)
    assert sales.indexes == (("employee_id", "sold_on"),)
    assert sales.column("employee_id").references == "employees.employee_id"
    assert sales.column("price") is None


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("- name: sales", "- name: employees", 'schema.yaml:21: table "employees" is defined twice'),
        ("{name: full_name, type: text}", "{name: left_on, type: text}", "schema.yaml:13: column"),
        ("primary_key: [sale_id]", "primary_key: [id]", 'schema.yaml:22: primary_key names "id"'),
        ("indexes: [[employee_id, sold_on]]", "indexes: [[sold]]", 'schema.yaml:28: indexes names "sold"'),
        ("type: integer", "type: int", "schema.yaml:20: tables.2.columns.2.type: "),
    ],
)
def test_a_table_that_cannot_be_made_is_told_at_its_line(folder, problems_of, old, new, told):
    folder.change("schema.yaml", old, new)

    assert any(problem.startswith(told) for problem in problems_of(folder)), problems_of(folder)
