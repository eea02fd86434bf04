"""Made-up names are found in any script, and real ones are left alone however they are written."""

import unicodedata

import pytest
from tiermesh_executor.bounce.names import Known, ungrounded_names

KNOWN = Known(
    [
        "Who took most?",
        "Anna Schmidt",
        "Jürgen Müller-Lüdenscheidt",
        "María de la Cruz",
        "Ludwig van der Berg",
        "Siobhán O'Neill",
        "Анна Иванова",
        "Γιώργος Παπαδόπουλος",
        "田中 由紀",
        "王小明",
        "김민준",
        "السيد أحمد الخطيب",
    ]
)


@pytest.mark.parametrize(
    "sentence",
    [
        "María de la Cruz took 12 days.",
        "Maria de la Cruz took 12 days.",
        unicodedata.normalize("NFD", "Jürgen Müller took 12 days."),
        "A. Schmidt and S. O’Neill took 12 days.",
        "Mr. J. Müller-Lüdenscheidt took 12 days.",
        "Ludwig van der Berg's balance is 12 days.",
        "Van der Berg took 12 days.",
        "Anna Schmidts Urlaub beträgt 12 Tage.",
        "Ihre Kollegin Anna hat 12 Tage.",
        "Im Januar Urlaub: 12 Tage.",
        "Anfang März hatte das Team Vertrieb keine.",
        "El Departamento de Ventas tiene 12 días.",
        "Осталось двенадцать дней отпуска.",
        "Анна Иванова взяла 12 дней.",
        "У Анны Ивановой 12 дней.",
        "Του Γιώργου Παπαδοπούλου είναι 12 ημέρες.",
        "年休は残り12日です。",
        "田中さんは12日です。",
        "王小明先生有12天。",
        "김민준 씨는 12일입니다.",
        "السيد أحمد الخطيب لديه 12 يوما.",
        "Total: 12 days in Q3 at Site B2.",
    ],
)
def test_a_name_that_is_known_stays_known_however_it_is_written(sentence: str) -> None:
    assert ungrounded_names(sentence, KNOWN) == []


@pytest.mark.parametrize(
    ("sentence", "names"),
    [
        ("José de la Fuente took 12 days.", ["José de la Fuente"]),
        ("J. R. Miller took 12 days.", ["J. R. Miller"]),
        ("It was Jean-Luc Picard-Dubois.", ["Jean-Luc Picard-Dubois"]),
        ("Pieter van den Broek took 12.", ["Pieter van den Broek"]),
        ("Es war Frau Mara Köhler.", ["Mara Köhler"]),
        ("El más largo es de Pedro Gómez.", ["Pedro Gómez"]),
        ("Больше всех взял Пётр Смирнов.", ["Пётр Смирнов"]),
        ("Ο Νίκος Αντωνίου πήρε 12.", ["Νίκος Αντωνίου"]),
        ("鈴木さんは12日です。", ["鈴木"]),
        ("李强先生有12天。", ["李强"]),
        ("박서연 씨는 12일입니다.", ["박서연"]),
        ("السيد خالد منصور لديه 12 يوما.", ["خالد منصور"]),
        ("Anna Schmidt took 12, Mark Miller 9.", ["Mark Miller"]),
    ],
)
def test_a_name_that_nothing_has_is_found_in_any_script(sentence: str, names: list[str]) -> None:
    assert ungrounded_names(sentence, KNOWN) == names


def test_only_the_name_of_a_person_that_the_data_has_under_another_part_is_let_through() -> None:
    assert ungrounded_names("Mary Schmidt took 12 days.", KNOWN) == []
    assert ungrounded_names("Mary Schmitz took 12 days.", KNOWN) == ["Mary Schmitz"]
