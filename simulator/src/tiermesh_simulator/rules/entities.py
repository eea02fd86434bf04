"""Finds names, groups and numbers in a question."""

from __future__ import annotations

import re
from typing import Final

from tiermesh_simulator.rules.dates import number_of
from tiermesh_simulator.rules.lexicon import is_common
from tiermesh_simulator.wordlist import word_set

_QUOTED: Final = re.compile(r"[\"“‘']([^\"”’']{2,60})[\"”’'](?!\w)")
_ID: Final = re.compile(r"\b[A-Z]{1,4}-?\d{2,10}\b")
_CAPITALISED: Final = re.compile(
    r"\b[A-ZÀ-Þ][a-zà-ÿ]+(?:[-'][A-ZÀ-Þ][a-zà-ÿ]+)*(?:\s+[A-ZÀ-Þ][a-zà-ÿ]+(?:[-'][A-ZÀ-Þ][a-zà-ÿ]+)*){0,3}\b"
)
_GROUP_AFTER: Final = re.compile(
    r"(?<!['’])\b(?:the\s+)?([A-Za-z][\w&]*(?:\s+[A-Z][\w&]*)?)\s+(?:team|department|dept|division|unit)\b"
)
_GROUP_BEFORE: Final = re.compile(r"\b(?:team|department|division|unit)\s+([A-Z][\w&]*(?:\s+[A-Z][\w&]*)?)")
_WITHIN: Final = re.compile(
    r"\b(?:in|across|within|(?:colleagues|people|employees|staff|folks) (?:of|from|at)) (?:the )?([A-Z][a-z]+)\b"
)
# "the Singapore and Kuala Lumpur offices"
_OFFICES: Final = re.compile(
    r"\b((?:[A-Z][\w&]+(?: [A-Z][\w&]+)?(?:, (?:and |or )?| and | or ))*[A-Z][\w&]+(?: [A-Z][\w&]+)?) "
    r"(?:offices?|sites?|branch(?:es)?)\b"
)
# Every first word of a sentence has a capital; these endings are seldom a name's.
_SENTENCE: Final = re.compile(r"(?:^|[.?!;:]\s+|\n)\W*$")
_NO_NAMES_END: Final = re.compile(r"(?:est|ly|ing|ed|ions?|ments?|able|ive)$")
# "Margaret needs it for the mortgage" says why, not whose.
_WANTS: Final = re.compile(r"^ (?:needs?|wants?|asked|asks|said|says|told|would like)\b", re.IGNORECASE)
_LIMIT: Final = re.compile(
    r"\b(?:top|first|bottom|last|best|worst|the)\s+(\d{1,4}|one|two|three|four|five|six|seven|eight|nine|ten|twelve)\b"
    r"(?!\s*(?:day|week|month|year|hour|%|percent|st\b|nd\b|rd\b|th\b))",
    re.IGNORECASE,
)
_AMOUNT: Final = re.compile(
    r"\b(\d+(?:[.,]\d+)?|one|two|three|four|five|six|seven|eight|nine|ten|twelve)\s+(?:more\s+|extra\s+|sick\s+|leave\s+|working\s+)?"
    r"(day|hour|week|month|euro|eur|dollar|usd|minute)s?\b",
    re.IGNORECASE,
)
_LED: Final = re.compile(
    r"\b([A-ZÀ-Þ][\wà-ÿ-]+(?:\s+[A-ZÀ-Þ][\wà-ÿ-]+){0,2})['’]s\s+(?:whole\s+|own\s+)?(?:team|reports|people|group)\b"
)
_NO_NAME: Final = word_set(
    "who what which when where why how is are was were do does did has have had can could will would should "
    "may might must the a an i me my we our you your he she they show tell give list find compare book apply "
    "cancel submit approve reject draft write create update change correct explain plan please thanks thank "
    "hello hi hey good and or but if in on at for from by with of to not no yes number average total count sum "
    "any all every each top only same monday tuesday wednesday thursday friday saturday sunday january "
    "february march april june july august september october november december today yesterday tomorrow this "
    "last next leave sick annual q1 q2 q3 q4 let also then now there it its that these those am file request "
    "raise question team department remote payslip policy need many most more less fewer several some both none much "
    "latest new old current fine sorry cheers great okay ok right well perfect quick please regards sincerely yours "
    "jan feb mar apr jun jul aug sep sept oct nov dec christmas easter juneteenth diwali thanksgiving ramadan eid "
    "pull send check see look whats whos split break group sort filter order chart plot summarise summarize analyse "
    "um ah oh wow dear just pls so one get since over before against as first without wrong past ever very nice "
    "wait put make anyone names parents public part half overall different understood whose merci servus night client "
    "analyze name display rank remind prepare open download export print forward add remove delete set move swap"
)
# What parts of companies are commonly called; written with a capital, they are such a part.
_FUNCTION: Final = re.compile(
    r"\b(Sales|Engineering|Finance|Marketing|Operations|Logistics|Legal|Support|Customer Success|Product|Procurement"
    r"|Human Resources|HR|IT|Research|Design|Accounting|Production|Security)\b"
)
_NO_GROUP: Final = word_set("my our the your this that each every which what per by same whole a any all his her their")


def groups_in(text: str) -> list[str]:
    """Return the teams or departments that a text names."""
    found = [match for pattern in (_GROUP_AFTER, _GROUP_BEFORE, _WITHIN, _FUNCTION) for match in pattern.findall(text)]
    found += [each for match in _OFFICES.findall(text) for each in re.split(r", (?:and |or )?| and | or ", match)]
    kept = [name.strip() for name in found if not {name.split()[0].lower()} & (_NO_GROUP | _NO_NAME)]
    return list(dict.fromkeys(name[0].upper() + name[1:] for name in kept))


def leaders_in(text: str) -> list[str]:
    """Return the people whose team a text speaks of, as in "Priya's team"."""
    return list(dict.fromkeys(name for name in _LED.findall(text) if name.split()[0].lower() not in _NO_NAME))


def people_in(text: str) -> list[str]:
    """Return the people that a text names: ids, quoted and capitalised words that are no group, month or verb."""
    groups = {group.lower() for group in groups_in(text)}
    found = _ID.findall(text) + [quoted for quoted in _QUOTED.findall(text) if _may_be_a_name(quoted.split())]
    for match in _CAPITALISED.finditer(text):
        before, after = text[: match.start()], text[match.end() :]
        name = match.group().split()
        if _WANTS.match(after) or (len(name) == 1 and _SENTENCE.search(before) and _begins_a_sentence(name[0])):
            continue
        while name and name[0].lower() in _NO_NAME:
            name = name[1:]
        while name and name[-1].lower() in _NO_NAME:
            name = name[:-1]
        joined = " ".join(name)
        if joined and joined.lower() not in groups and (joined.lower() + " team") not in text.lower():
            found.append(joined)
    return list(dict.fromkeys(found))


def _may_be_a_name(words: list[str]) -> bool:
    """Whether quoted words name somebody, and are not what somebody says."""
    return len(words) <= 2 or (len(words) <= 4 and words[0][0].isupper() and words[-1][0].isupper())


def _begins_a_sentence(word: str) -> bool:
    """Whether a word has its capital from there, and is no name."""
    return is_common(word) or bool(_NO_NAMES_END.search(word))


def limit_in(text: str) -> int | None:
    """Return how many rows a text asks for, as in "top 5"."""
    match = _LIMIT.search(text)
    return number_of(match.group(1)) if match else None


def amount_in(text: str, unit: str = "") -> float | None:
    """Return a number that stands before a unit, as in "five days"."""
    for match in _AMOUNT.finditer(text):
        if unit and match.group(2).lower() != unit:
            continue
        word = match.group(1).replace(",", ".")
        known = number_of(word)
        return float(known) if known is not None else float(word)
    return None
