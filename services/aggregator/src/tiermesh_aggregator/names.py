"""Names of people and departments, resolved among those that the viewer may see.

One small statement finds everything that the words of a question could mean; the choice among it is made here.
Somebody whom the viewer may not see is as unknown as somebody who does not exist.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa
from rapidfuzz import fuzz
from tiermesh_pack.semantic import PersonModel, SemanticModel, Visibility

from tiermesh_aggregator.compiling.catalog import Catalog
from tiermesh_aggregator.compiling.scope import RowScope, any_of
from tiermesh_aggregator.engines.statement import Statement, statement
from tiermesh_aggregator.failures import AmbiguousNameError, BadFieldError, UnknownNameError
from tiermesh_aggregator.query import Query, Viewer

most_names = 200
most_candidates = 2000
near_enough = 75.0
clear_lead = 8.0
own_words = frozenset({"me", "i", "myself", "my own", "mine"})


@dataclass(frozen=True)
class Candidate:
    """Somebody, or a department, that a name may mean."""

    noun: str
    """ "person" or "department"."""
    key: str
    name: str
    detail: str
    """What tells two of the same name apart."""


@dataclass(frozen=True)
class Wanted:
    """The names in a question, with the place where each stands."""

    people: Mapping[str, str]
    departments: Mapping[str, str]

    def __bool__(self) -> bool:
        return bool(self.people or self.departments)


def named(query: Query, model: SemanticModel) -> Wanted:
    """Every name that has to be resolved."""
    people = {name: f"people[{index}]" for index, name in enumerate(query.people)}
    departments = {name: f"departments[{index}]" for index, name in enumerate(query.departments)}
    for number, side in enumerate(query.sides):
        people |= {name: f"sides[{number}].people[{index}]" for index, name in enumerate(side.people)}
        departments |= {name: f"sides[{number}].departments[{index}]" for index, name in enumerate(side.departments)}
    domain = model.domains.get(query.domain)
    for number, one in enumerate(query.filters):
        dimension = domain.dimensions.get(one.field) if domain else None
        if dimension is not None and dimension.kind in ("person", "department"):
            into = people if dimension.kind == "person" else departments
            into |= {name: f"filters[{number}].values[{index}]" for index, name in enumerate(one.values)}
    if len(people) + len(departments) > most_names:
        raise BadFieldError("people", f"More than {most_names} names; ask for a team or a department instead.")
    return Wanted(people, departments)


def lookup(
    catalog: Catalog, person: PersonModel, viewer: Viewer, rules: Sequence[Visibility], wanted: Wanted
) -> Statement:
    """The statement that finds what the names could mean, among the people whom the viewer may see."""
    people = catalog.table(person.table)
    table, key, name, _ = person.departments
    departments = catalog.table(table)
    key_column, name_column = people.c[person.key], people.c[person.name]
    joined = people.outerjoin(departments, people.c[person.department] == departments.c[key])
    scope = RowScope(catalog, person, viewer, rules, wide=False)
    where = [*scope.visible_people(), _could_be(key_column, name_column, wanted.people)]
    persons = (
        sa.select(sa.literal_column("'person'").label("noun"), key_column.label("key"), name_column.label("name"),
                  departments.c[name].label("detail"))
        .select_from(joined)
        .where(*where)
        .order_by(key_column)
        .limit(most_candidates)
    )
    units = sa.select(
        sa.literal_column("'department'"), departments.c[key], departments.c[name], sa.literal_column("''")
    )
    if not wanted.departments:
        return statement(persons)
    if not wanted.people:
        return statement(units)
    return statement(sa.union_all(sa.select(persons.subquery("found")), units))


def _could_be(key: sa.Column[object], name: sa.Column[object], words: Iterable[str]) -> sa.ColumnElement[bool]:
    """The key itself, or any word of the name that begins like one of the words that are looked for."""
    given = list(words)
    starts = {start for word in given for start in _starts(word)}
    patterns = [f"{start}%" for start in starts] + [f"% {start}%" for start in starts]
    lowered = sa.func.lower(name)
    by_key = any_of(key, [word.strip().upper() for word in given], sa.Text())
    return sa.or_(by_key, *(lowered.like(pattern, escape="\\") for pattern in sorted(patterns)))


def _starts(name: str) -> list[str]:
    """The first letters of each word, cut before the first letter that may be spelt with or without an accent."""
    found = []
    for word in re.findall(r"[^\W\d_]+", name.lower()[:200]):
        plain = re.match(r"[a-z]{1,3}", word)
        if plain and len(word) > 1:
            found.append(plain[0])
    return found[:8]


def resolve(query: Query, model: SemanticModel, viewer: Viewer, candidates: Sequence[Candidate]) -> tuple[Query, dict[str, str]]:
    """The query with keys for names, and the names that the keys stand for."""
    wanted = named(query, model)
    people = {name: _meant(name, place, "person", viewer, candidates) for name, place in wanted.people.items()}
    units = {name: _meant(name, place, "department", viewer, candidates) for name, place in wanted.departments.items()}
    labels = {one.key: one.name for one in (*people.values(), *units.values())}

    def keys(names: Sequence[str], known: Mapping[str, Candidate]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(known[name].key for name in names))

    sides = tuple(
        replace(side, people=keys(side.people, people), departments=keys(side.departments, units))
        for side in query.sides
    )
    filters = tuple(
        replace(one, values=keys(one.values, both))
        if (both := {**units, **people}) and set(one.values) <= both.keys() and _of_names(model, query, one.field)
        else one
        for one in query.filters
    )
    resolved = replace(
        query, people=keys(query.people, people), departments=keys(query.departments, units), sides=sides,
        filters=filters,
    )
    return resolved, labels


def _of_names(model: SemanticModel, query: Query, field: str) -> bool:
    domain = model.domains.get(query.domain)
    dimension = domain.dimensions.get(field) if domain else None
    return dimension is not None and dimension.kind in ("person", "department")


def _meant(name: str, place: str, noun: str, viewer: Viewer, candidates: Sequence[Candidate]) -> Candidate:
    """The one that a name means. Several that fit equally well are a question back."""
    mine = [one for one in candidates if one.noun == noun]
    words = name.strip()
    if noun == "person" and words.lower() in own_words:
        return next((one for one in mine if one.key == viewer.person), Candidate(noun, viewer.person, "you", ""))
    by_key = [one for one in mine if one.key.lower() == words.lower()]
    if by_key:
        return by_key[0]
    scored = sorted(((_likeness(words, one.name), one) for one in mine), key=lambda pair: (-pair[0], pair[1].key))
    best = [one for score, one in scored if scored and score >= near_enough and score > scored[0][0] - clear_lead]
    exact = [one for one in best if plain(one.name) == plain(words)]
    chosen = exact or best
    if len(chosen) == 1:
        return chosen[0]
    if chosen:
        options = [f"{one.name} ({', '.join(part for part in (one.detail, one.key) if part)})" for one in chosen[:10]]
        raise AmbiguousNameError(f'Which "{words[:60]}" do you mean?', options)
    nouns = {"person": "person whose records you may see", "department": "department"}
    close = [one.name for score, one in scored[:3] if score >= 50]
    raise UnknownNameError(place, words, nouns[noun], close)


def plain(name: str) -> str:
    """Without case, accents and punctuation."""
    decomposed = unicodedata.normalize("NFKD", name.replace("ß", "ss"))
    bare = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return " ".join(re.findall(r"\w+", bare.lower()))


def _likeness(words: str, name: str) -> float:
    """0 to 100: all words found in the name beat a likeness of letters; a first name alone is enough."""
    wanted, known = plain(words[:200]), plain(name)
    if not wanted or not known:
        return 0.0
    if wanted == known:
        return 100.0
    if set(wanted.split()) <= set(known.split()):
        return 95.0
    if all(any(part.startswith(word) for part in known.split()) for word in wanted.split()) and len(wanted) > 2:
        return 90.0
    return min(fuzz.token_sort_ratio(wanted, known), 89.0)

