"""Loading a whole pack, and refusing one with everything that is wrong with it."""

import pytest
from tiermesh_pack import PackError, load_pack


def test_a_valid_pack_loads_with_all_its_parts(folder):
    pack = load_pack(folder.path)

    assert pack.identity == "shop@1.2.3"
    assert (pack.defaults.time_zone, pack.defaults.currency, pack.defaults.fiscal_year_start) == (
        "Europe/Lisbon",
        "GBP",
        1,
    )
    assert list(pack.vocabulary.intents) == ["sales.history", "sales.enter", "sales.policy"]
    assert pack.schema.column("sales.amount").kind == "decimal"
    assert "revenue" in pack.semantic.domains["sales"].measures
    assert [section.id for section in pack.handbook] == ["selling/discounts", "selling/returns"]
    assert pack.vocabulary.examples[0].text == "Who sold the most this year?"
    assert pack.personas == ()


def test_every_problem_of_every_file_is_told_in_one_run(folder, problems_of):
    folder.change("pack.yaml", "Europe/Lisbon", "Europe/Lissabon")
    folder.change("schema.yaml", "references: departments.department_id", "references: departments.id")
    folder.change("vocabulary/intents.yaml", "default_measure: revenue", "default_measure: revenues")
    folder.change("vocabulary/rules.yaml", "label: rank", "label: ranks")
    folder.change("handbook/selling.md", "## Returns", "## Discounts")
    folder.examples({}, {"id": "a-2", "temporal": "yesterday"}, {})

    assert problems_of(folder) == [
        'examples/all.jsonl:2: "yesterday" is no label of the axis "temporal"',
        'examples/all.jsonl:3: id "a-1" is also at all.jsonl:1',
        'handbook/selling.md:6: section "Discounts" occurs twice',
        'pack.yaml:4: "Europe/Lissabon" is no known time zone',
        'schema.yaml:14: "departments.id" is no column of this schema',
        'vocabulary/intents.yaml:7: "revenues" is no measure of the domain "sales"',
        'vocabulary/rules.yaml:6: "ranks" is no label of the axis "aggregation"',
    ]


def test_the_message_of_a_refusal_says_how_to_mend_each_problem(folder):
    folder.change("vocabulary/intents.yaml", "default_measure: revenue", "default_measure: revenues")

    with pytest.raises(PackError, match=r'vocabulary/intents.yaml:7: .* — did you mean "revenue"\?'):
        load_pack(folder.path)


def test_a_folder_without_a_manifest_is_no_pack(folder, problems_of):
    (folder.path / "pack.yaml").unlink()

    assert problems_of(folder) == ["pack.yaml:0: the file is missing"]


def test_a_list_of_files_that_matches_nothing_is_told_at_its_line(folder, problems_of):
    folder.change("pack.yaml", "semantic/*.yaml]", "semantic/*.yaml]\n  examples: [exmaples/*.jsonl]")

    assert 'pack.yaml:8: no file matches "exmaples/*.jsonl" (examples)' in problems_of(folder)


def test_a_pack_cannot_read_files_outside_its_folder(folder, problems_of):
    folder.change("pack.yaml", "semantic/*.yaml]", "semantic/*.yaml]\n  schema: ../elsewhere/schema.yaml")

    assert [problem.split(": ")[0] for problem in problems_of(folder)] == ["pack.yaml:8"]


def test_an_axis_that_a_pack_leaves_out_is_told(folder, problems_of):
    folder.change(
        "vocabulary/axes.yaml", "  stakes: {description: What is at stake., labels: {low: Little., high: Much.}}\n", ""
    )

    assert 'vocabulary/axes.yaml:0: the axis "stakes" is missing' in problems_of(folder)


def test_a_domain_of_the_model_answers_only_intents_of_the_vocabulary(folder, problems_of):
    folder.change("semantic/sales.yaml", "intents: [sales.history]", "intents: [sales.history, sales.forecast]")

    assert [found for found in problems_of(folder) if "sales.forecast" in found]


def test_personas_are_read_where_a_pack_has_them(folder):
    folder.write(
        "seed/personas.yaml",
        "personas:\n  - {key: boss, employee_id: E1, name: Ada Okoro, roles: [manager], description: Leads.}\n",
    )

    (persona,) = load_pack(folder.path).personas

    assert (persona.key, persona.employee_id, persona.roles) == ("boss", "E1", ("manager",))


def test_two_personas_of_one_key_are_refused(folder, problems_of):
    entry = "  - {key: boss, employee_id: E1, name: Ada}\n"
    folder.write("seed/personas.yaml", "personas:\n" + entry + entry)

    assert problems_of(folder) == ['seed/personas.yaml:3: persona "boss" is defined twice']


def test_a_handbook_without_a_section_is_told(folder, problems_of):
    folder.write("handbook/selling.md", "# Selling\n\nNothing yet.\n")

    assert problems_of(folder) == ['handbook/selling.md:1: no section ("## …")']


def test_an_example_that_is_too_deep_or_too_long_is_told_with_its_line(folder, problems_of):
    folder.write("examples/all.jsonl", '{"a":' * 3000 + "\n" + '{"weight": ' + "9" * 5000 + "}\n")

    told = "a number too long or values too deep"
    assert problems_of(folder)[:2] == [f"examples/all.jsonl:{line}: {told}" for line in (1, 2)]
