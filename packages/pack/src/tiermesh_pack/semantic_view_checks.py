"""Whether a precomputed view can answer exactly: what it holds must add up over any choice of people and steps."""

from collections.abc import Callable

from tiermesh_pack.documents import Key
from tiermesh_pack.schema import Column, Schema
from tiermesh_pack.semantic_checker import Checker
from tiermesh_pack.semantic_model import Domain, Entity, PrecomputedView, SemanticModel

additive = ("sum", "count")
noun = "measure of this domain"


def check_views(check: Checker, domain: Domain, model: SemanticModel, schema: Schema) -> None:
    """The views of one domain."""
    for name, view in domain.views.items():
        where: tuple[Key, ...] = ("views", name)
        if model.views[name] is not view:
            check.report(where, f'view "{name}" is also defined in another domain', "rename one")
        if check.known((*where, "entity"), view.entity, domain.entities, "entity of this domain"):
            _view(check, domain, domain.entities[view.entity], view, schema)


def _view(check: Checker, domain: Domain, entity: Entity, view: PrecomputedView, schema: Schema) -> None:
    where: tuple[Key, ...] = ("views", view.name)
    if not entity.person:
        check.report((*where, "entity"), f'the records of "{entity.name}" are nobody\'s', "take one with a person")
    if check.known((*where, "time"), view.time, entity.times, f'time of "{entity.name}"') and (
        entity.times[view.time].kind != "point"
    ):
        mend = "take a time of kind point: spans and states cannot be added up over steps"
        check.report((*where, "time"), f'the time "{view.time}" is no point', mend)
    for index, name in enumerate(view.dimensions):
        here = (*where, "dimensions", index)
        known = check.known(here, name, entity.dimensions, f'dimension of "{entity.name}"')
        if known and domain.dimensions[name].kind == "band":
            check.report(here, f'"{name}" is a band, which may depend on the day', "leave it out")
    for index, name in enumerate(view.measures):
        here = (*where, "measures", index)
        fault = _fault(domain, view, schema.column, name) if check.known(here, name, domain.measures, noun) else None
        if fault:
            check.report(here, *fault)


def _fault(
    domain: Domain, view: PrecomputedView, column_of: Callable[[str], Column | None], name: str
) -> tuple[str, str] | None:
    """What keeps a measure out of a view, and the mend."""
    measure = domain.measures[name]
    if measure.entity != view.entity or measure.time != view.time:
        return f'"{name}" is of other records or another time', "give it a view of its own"
    if measure.compute not in additive:
        return f'"{name}" does not add up ({measure.compute})', "keep sums and counts only"
    if measure.compute == "sum":
        column = column_of(f"{domain.entities[view.entity].table}.{measure.column}")
        if column is None or column.nullable:
            return f'"{name}" sums up what may be empty', "sum up one column of the table that is never empty"
    return None
