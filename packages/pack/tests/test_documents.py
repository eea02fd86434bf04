"""YAML with lines: what is read, and how trouble is told."""

import pytest
from tiermesh_pack.documents import PackError, Problem, Problems, check_schema, load_document


@pytest.fixture
def read(tmp_path):
    problems = Problems(tmp_path)

    def load(text):
        path = tmp_path / "some.yaml"
        path.write_text(text, encoding="utf-8")
        return load_document(path, problems), [str(problem) for problem in problems]

    return load


def test_a_value_knows_the_line_of_its_key(read):
    document, _ = read("tables:\n  - name: a\n    columns:\n      - {name: x}\n")

    assert document.line("tables", 0, "name") == 2
    assert document.line("tables", 0, "columns", 0, "name") == 4


def test_a_missing_value_is_placed_at_its_nearest_ancestor(read):
    document, _ = read("tables:\n  - name: a\n")

    assert document.line("tables", 0, "columns", 3) == 2


def test_yes_no_and_dates_stay_the_texts_that_the_author_wrote(read):
    document, _ = read("labels: {yes: a, no: b}\nday: 2024-02-01\nflag: true\ncount: 12\n")

    assert document.data == {"labels": {"yes": "a", "no": "b"}, "day": "2024-02-01", "flag": True, "count": 12}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\nb: [1, 2\n", "some.yaml:3: not valid YAML"),
        ("a: 1\nb: 2\na: 3\n", 'some.yaml:3: "a" is given twice'),
        ("a: &x [1]\nb: *x\n", "some.yaml:2: an alias (*name) is used"),
        ("", "some.yaml:1: the file is empty"),
        ("a: \x07\n", "some.yaml:0: not valid YAML: a character that YAML does not allow"),
        ("? [a, b]\n: c\n", "some.yaml:1: a key is no plain text"),
        ("a: !!python/object:os.system x\n", "some.yaml:1: not valid YAML"),
        ("[" * 3000 + "]" * 3000, "some.yaml:0: values lie too deep in each other"),
        ("a: " + "9" * 5000, "some.yaml:0: a number has thousands of digits"),
    ],
)
def test_trouble_in_a_file_is_told_with_its_line(read, text, told):
    _, problems = read(text)

    assert any(problem.startswith(told) for problem in problems), problems


def test_a_file_that_is_no_text_is_told(tmp_path):
    problems = Problems(tmp_path)
    (tmp_path / "some.yaml").write_bytes(b"\xff\xfe\x00")

    assert load_document(tmp_path / "some.yaml", problems) is None
    assert [problem.what for problem in problems] == ["the file cannot be read (UnicodeDecodeError)"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("version: 1.0.0\n", ['some.yaml:1: the file: "name" is missing — add it']),
        ("name: a\nversion: 1\n", ["some.yaml:2: version: the wrong kind of value — give a text"]),
        (
            "name: a\nversion: 1.0.0\nverison: 2\n",
            ['some.yaml:1: the file: unknown "verison" — did you mean "version"?'],
        ),
        (
            "name: a\nversion: 1.0.0\ndefaults:\n  week_start: Monday\n",
            ['some.yaml:4: defaults.week_start: "Monday" is not allowed here — did you mean "monday"?'],
        ),
    ],
)
def test_a_document_that_does_not_fit_its_schema_is_told_in_words(read, tmp_path, text, told):
    document, _ = read(text)
    problems = Problems(tmp_path)

    assert not check_schema(document, "pack", problems)
    assert [str(problem) for problem in problems] == told


def test_a_message_of_thousands_of_problems_tells_whole_files_first_and_how_many_more_there_are() -> None:
    lines = [Problem("examples/a.jsonl", number, "no label", "use one") for number in range(1, 3001)]
    error = PackError((*lines, Problem("vocabulary/intents.yaml", 0, "the file is missing", "create it")))

    told = str(error).splitlines()

    assert told[0] == "the pack has 3001 problems:"
    assert told[1].startswith("vocabulary/intents.yaml:0: the file is missing")
    assert told[-1].startswith("… and 2951 more")
    assert len(told) == 52
    assert len(error.problems) == 3001
