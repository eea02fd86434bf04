"""Names of people and departments, resolved among those that the viewer may see.

One small statement finds everything that the words of a question could mean; the choice among it is made here.
Somebody whom the viewer may not see is as unknown as somebody who does not exist.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from rapidfuzz import fuzz
from tiermesh_pack.semantic import Domain, PersonModel, SemanticModel, Visibility

from tiermesh_aggregator.compiling.catalog import Catalog
from tiermesh_aggregator.compiling.plan import domain_of
from tiermesh_aggregator.compiling.portable import one_of
from tiermesh_aggregator.compiling.scope import RowScope
from tiermesh_aggregator.compiling.source import raw
from tiermesh_aggregator.engines.statement import Statement, statement
from tiermesh_aggregator.failures import AmbiguousNameError, BadFieldError, NobodyCalledError, UnknownNameError
from tiermesh_aggregator.query import Filter, Query, Side, Viewer

most_names = 200
most_candidates = 2000
near_enough = 75.0
clear_lead = 8.0
own_words = frozenset({"me", "i", "myself", "my own", "mine"})


@dataclass(frozen=True)
class Candidate:
    """Somebody, or a department, that a name may mean."""

    noun: str
    """ "person", "department", or the dimension of a place, such as "city"."""
    key: str
    name: str
    detail: str
    """What tells two of the same name apart."""


@dataclass(frozen=True)
class Wanted:
    """The names in a question, with the place where each stands."""

    people: Mapping[str, str]
    departments: Mapping[str, str]
    either: Mapping[str, str]
    """Names of which the question does not say whether they are people or departments."""

    def __bool__(self) -> bool:
        return bool(self.people or self.departments or self.either)


def named(query: Query, model: SemanticModel) -> Wanted:
    """Every name that has to be resolved."""
    people = {name: f"people[{index}]" for index, name in enumerate(query.people)}
    people |= {name: f"teams[{index}]" for index, name in enumerate(query.teams)}
    departments = {name: f"departments[{index}]" for index, name in enumerate(query.departments)}
    for number, side in enumerate(query.sides):
        people |= {name: f"sides[{number}].people[{index}]" for index, name in enumerate(side.people)}
        people |= {name: f"sides[{number}].teams[{index}]" for index, name in enumerate(side.teams)}
        departments |= {name: f"sides[{number}].departments[{index}]" for index, name in enumerate(side.departments)}
    either = {side.named: f"sides[{number}]" for number, side in enumerate(query.sides) if side.named}
    either |= {name: f"named[{index}]" for index, name in enumerate(query.named)}
    domain = model.domains.get(query.domain)
    for number, one in enumerate(query.filters):
        dimension = domain.dimensions.get(one.field) if domain else None
        if dimension is not None and dimension.kind in ("person", "department"):
            into = people if dimension.kind == "person" else departments
            into |= {name: f"filters[{number}].values[{index}]" for index, name in enumerate(one.values)}
    if len(people) + len(departments) + len(either) > most_names:
        raise BadFieldError("people", f"More than {most_names} names; ask for a team or a department instead.")
    return Wanted(people, departments, either)


def lookup(
    catalog: Catalog, person: PersonModel, viewer: Viewer, rules: Sequence[Visibility], wanted: Wanted
) -> Statement:
    """The statement that finds what the names could mean: visible people, departments, and places of people."""
    selects: list[sa.Select[Any]] = []
    if wanted:
        scope = RowScope(catalog, person, viewer, rules, wide=False)
        words = [*wanted.people, *wanted.departments, *wanted.either]
        found = _visible_people(catalog, person, scope, words)
        selects.append(sa.select(found.subquery("found")))
    if wanted.departments or wanted.either:
        table, key, name, _ = person.departments
        units = catalog.table(table)
        empty = raw("''")
        selects.append(sa.select(raw("'department'"), units.c[key], units.c[name], empty))
        selects += [_places(catalog, person, dimension) for dimension in places(person)]
    return statement(sa.union_all(*selects) if len(selects) > 1 else selects[0])


def _visible_people(catalog: Catalog, person: PersonModel, scope: RowScope, words: Sequence[str]) -> sa.Select[Any]:
    people = catalog.table(person.table)
    table, key, name, _ = person.departments
    departments = catalog.table(table)
    key_column, name_column = people.c[person.key], people.c[person.name]
    joined = people.outerjoin(departments, people.c[person.department] == departments.c[key])
    columns = (
        raw("'person'").label("noun"),
        key_column.label("key"),
        name_column.label("name"),
        departments.c[name].label("detail"),
    )
    where = [*scope.visible_people(), could_be(key_column, name_column, words)]
    return sa.select(*columns).select_from(joined).where(*where).order_by(key_column).limit(most_candidates)


def places(person: PersonModel) -> list[str]:
    """Dimensions of people whose few values stand in tables of their own: divisions, offices, cities, countries."""
    found = []
    for name, dimension in person.dimensions.items():
        owner = person.columns[name].rpartition(".")[0] or person.shows.get(name, "").rpartition(".")[0]
        joined = person.joins.get(owner)
        if dimension.kind == "category" and joined is not None and joined.table != person.table:
            found.append(name)
    return found


def _places(catalog: Catalog, person: PersonModel, dimension: str) -> sa.Select[Any]:
    owner, _, column = person.columns[dimension].rpartition(".")
    shown_owner, _, shown = person.shows.get(dimension, person.columns[dimension]).rpartition(".")
    join = person.joins[owner or shown_owner]
    table = catalog.table(join.table)
    key = table.c[column] if owner else table.c[next(iter(join.on.values()))]
    noun = raw(f"'{dimension}'")
    return sa.select(noun, key, table.c[shown], raw("''")).distinct()


def could_be(key: sa.Column[object], name: sa.Column[object], words: Iterable[str]) -> sa.ColumnElement[bool]:
    """The key itself, or any word of the name that begins like one of the words that are looked for."""
    given = list(words)
    starts = {start for word in given for start in _starts(word)}
    patterns = [f"{start}%" for start in starts] + [f"% {start}%" for start in starts]
    lowered = sa.func.lower(name)
    by_key = one_of(key, [word.strip().upper() for word in given], sa.Text())
    return sa.or_(by_key, *(lowered.like(pattern, escape="\\") for pattern in sorted(patterns)))


def _starts(name: str) -> list[str]:
    """The first letters of each word, cut before the first letter that may be spelt with or without an accent."""
    found = []
    for word in re.findall(r"[^\W\d_]+", name.lower()[:200]):
        plain = re.match(r"[a-z]{1,3}", word)
        if plain and len(word) > 1:
            found.append(plain[0])
    return found[:8]


def resolve(
    query: Query, model: SemanticModel, viewer: Viewer, candidates: Sequence[Candidate]
) -> tuple[Query, dict[str, str]]:
    """The query with keys for names, and the names that the keys stand for."""
    wanted = named(query, model)
    domain = domain_of(model, query.domain)

    def choose(name: str, place: str, noun: str) -> Candidate:
        return closest(name, place, noun, viewer, [*candidates, *_worded(domain, name)])

    people = {name: choose(name, place, "person") for name, place in wanted.people.items()}
    units = {name: _unit(name, place, choose) for name, place in wanted.departments.items()}
    both = {name: choose(name, place, "either") for name, place in wanted.either.items()}
    labels = {one.key: one.name for one in (*people.values(), *units.values(), *both.values())}
    meant = [both[name] for name in query.named]
    theirs = [units[name] for name in query.departments]
    chosen = [one for one in (*theirs, *meant) if one.noun != "person"]
    teams = [*(people[name] for name in query.teams), *(one for one in theirs if one.noun == "person")]
    persons = [*(people[name] for name in query.people), *(one for one in meant if one.noun == "person")]
    filters = [_filter(one, domain, {**units, **people}) for one in query.filters]
    filters += _place_filters(chosen)
    resolved = replace(
        query,
        people=_keys(persons),
        named=(),
        departments=_keys(one for one in chosen if one.noun == "department"),
        filters=tuple(filters),
        teams=_keys(teams),
        sides=tuple(_side(side, people, units, both) for side in query.sides),
    )
    return _by_place(resolved, query.sides, {**units, **both}), labels


def _unit(name: str, place: str, choose: Callable[[str, str, str], Candidate]) -> Candidate:
    """A department or place; where none is called so, the person whose team is meant: "Priya's team"."""
    try:
        return choose(name, place, "department")
    except UnknownNameError as unknown:
        try:
            return choose(name, place, "person")
        except UnknownNameError:
            raise unknown from None


def _keys(chosen: Iterable[Candidate]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.key for one in chosen))


def _filter(one: Filter, domain: Domain, known: Mapping[str, Candidate]) -> Filter:
    dimension = domain.dimensions.get(one.field)
    if dimension is None or dimension.kind not in ("person", "department"):
        return one
    return replace(one, values=_keys(known[name] for name in one.values))


def _place_filters(chosen: Sequence[Candidate]) -> list[Filter]:
    """A word for a department that turned out to be an office, a city, a country."""
    found: dict[str, list[str]] = {}
    for one in chosen:
        if one.noun not in ("person", "department"):
            found.setdefault(one.noun, []).append(one.key)
    return [Filter(field, "in", tuple(dict.fromkeys(values))) for field, values in found.items()]


def _side(
    side: Side, people: Mapping[str, Candidate], units: Mapping[str, Candidate], both: Mapping[str, Candidate]
) -> Side:
    persons = [people[name] for name in side.people]
    named_units = [units[name] for name in side.departments]
    departments = [one for one in named_units if one.noun != "person"]
    teams = [*(people[name] for name in side.teams), *(one for one in named_units if one.noun == "person")]
    if side.named:
        (persons if both[side.named].noun == "person" else departments).append(both[side.named])
    label = side.label or (both[side.named].name if side.named else "")
    return replace(
        side, label=label, named="", people=_keys(persons), departments=_keys(departments), teams=_keys(teams)
    )


def _by_place(query: Query, sides: Sequence[Side], known: Mapping[str, Candidate]) -> Query:
    """Sides that are all offices, or all cities, …, are groups of that dimension."""
    words = [name for side in sides for name in (*side.departments, *((side.named,) if side.named else ()))]
    nouns = {known[name].noun for name in words}
    if not nouns - {"person", "department"}:
        return query
    if len(nouns) > 1 or len(words) != len(sides) or any(side.period or side.people for side in sides):
        raise BadFieldError("sides", "The sides of a comparison must be of one kind: people, departments, or places.")
    field = nouns.pop()
    chosen = Filter(field, "in", _keys(known[name] for name in words))
    return replace(query, sides=(), group_by=(field, *query.group_by), filters=(*query.filters, chosen))


def _worded(domain: Domain, name: str) -> list[Candidate]:
    """Places by the words that the model knows for them, such as "Germany" for DE."""
    found = []
    for dimension in domain.dimensions.values():
        if dimension.kind == "category" and dimension.name in ("country", "division", "city", "location"):
            for value, words in dimension.values.items():
                if plain(name) in map(plain, (value, *words)):
                    found.append(Candidate(dimension.name, dimension.codes.get(value, value), value, ""))
    return found


def closest(name: str, place: str, noun: str, viewer: Viewer, candidates: Sequence[Candidate]) -> Candidate:
    """The one that a name means. Several that fit equally well are a question back."""
    words = name.strip()
    if noun != "department" and words.lower() in own_words:
        return Candidate("person", viewer.person, "you", "")
    somebody = noun in ("person", "colleague")
    fitting = [one for one in candidates if noun == "either" or (one.noun == "person") == somebody]
    by_key = [one for one in fitting if one.key.lower() == words.lower() and one.noun in ("person", "department")]
    if by_key:
        return by_key[0]
    scored = sorted(((_likeness(words, one), one) for one in fitting), key=lambda pair: (-pair[0], pair[1].key))
    best = [one for score, one in scored if score >= near_enough and score > scored[0][0] - clear_lead]
    # A department is meant before an office, an office before its city: the first kind that fits is taken.
    exact = [one for one in best if plain(one.name) == plain(words)]
    chosen = _of_first_kind(exact or best)
    if len(chosen) == 1:
        return chosen[0]
    if chosen:
        options = [f"{one.name} ({', '.join(part for part in (one.detail, one.key) if part)})" for one in chosen[:10]]
        raise AmbiguousNameError(f'Which "{words[:60]}" do you mean?', options)
    nouns = {
        "person": "person whose records you may see",
        "colleague": "colleague who works here",
        "department": "department or place",
    }
    close = [one.name for score, one in scored[:3] if score >= 50]
    raise NobodyCalledError(place, words, nouns.get(noun, "person, department or place that you may see"), close)


def _of_first_kind(chosen: Sequence[Candidate]) -> list[Candidate]:
    order = ("department", "person", "location", "city", "division", "country")
    ranked = sorted(chosen, key=lambda one: order.index(one.noun) if one.noun in order else len(order))
    return [one for one in ranked if one.noun == ranked[0].noun]


def plain(name: str) -> str:
    """Without case, accents and punctuation."""
    decomposed = unicodedata.normalize("NFKD", name.replace("ß", "ss"))
    bare = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return " ".join(re.findall(r"\w+", bare.lower()))


def _likeness(words: str, one: Candidate) -> float:
    """0 to 100: all words found in the name beat a likeness of letters; a first name alone is enough."""
    wanted, known = plain(words[:200]), plain(one.name)
    if not wanted or not known:
        return 0.0
    if wanted == known:
        return 100.0
    if one.noun not in ("person", "department"):
        return 95.0 if wanted in known.split() or wanted == plain(one.key) else 0.0
    if set(wanted.split()) <= set(known.split()):
        return 95.0
    if all(any(part.startswith(word) for part in known.split()) for word in wanted.split()) and len(wanted) > 2:
        return 90.0
    return min(fuzz.token_sort_ratio(wanted, known), 89.0)
