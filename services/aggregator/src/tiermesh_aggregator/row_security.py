"""The row scope once more, as PostgreSQL's own policies: a fault of the compiler then leaks nothing.

Made from the pack's visibilities. A table's policy lets in what any of the model's rules for it lets in; the exact
rule of a measure or a list is the compiler's. Reads run as `tiermesh_reader`, writes as `tiermesh_writer`; neither can
bypass a policy. Who asks stands in transaction-local settings that the engine sets from the signed principal.
"""

import hashlib
import json
from collections.abc import Iterable

from tiermesh_pack.pack import Pack
from tiermesh_pack.semantic import Entity, PersonModel, SemanticModel, Visibility

from tiermesh_aggregator.compiling.precomputed import table_name
from tiermesh_aggregator.engines.postgres import PostgresEngine, reader, writer
from tiermesh_aggregator.failures import DatabaseDownError
from tiermesh_aggregator.precomputing import create_states, definitions, shape, states

policy = "tiermesh_scope"
person_setting = "(SELECT nullif(current_setting('tiermesh.person', true), ''))"
"""After a transaction the setting is empty, not null. In a subquery it is read once a statement, not once a row."""
wide_setting = "(SELECT coalesce(current_setting('tiermesh.wide', true), '') = 'on')"
mend = "run: python -m tiermesh_aggregator.secure --pack PACK --database URL, as the owner of the tables"


Rules = dict[str, tuple[Visibility, ...]]
"""Columns that hold a person, each with what opens its rows."""


def guarded(model: SemanticModel) -> dict[str, Rules]:
    """Tables whose rows are somebody's and not everybody's business. Feedback is its giver's and its receiver's."""
    found: dict[str, dict[str, dict[str, Visibility]]] = {}
    for entity, visibility in _uses(model):
        if entity.person:
            columns = found.setdefault(entity.table, {})
            columns.setdefault(entity.person, {})[visibility] = model.visibility[visibility]
    return {
        table: {column: tuple(rules[name] for name in sorted(rules)) for column, rules in columns.items()}
        for table, columns in found.items()
        if not any(rule.everyone for rules in columns.values() for rule in rules.values())
    }


def _uses(model: SemanticModel) -> Iterable[tuple[Entity, str]]:
    for domain in model.domains.values():
        for entity in domain.entities.values():
            yield entity, entity.visibility
        for measure in domain.measures.values():
            if measure.visibility and measure.entity in domain.entities:
                yield domain.entities[measure.entity], measure.visibility
        for view in domain.lists.values():
            if view.visibility:
                yield domain.entities[view.entity], view.visibility


def readable(pack: Pack) -> list[str]:
    """The tables that the model names; others are not even granted."""
    person = pack.semantic.person
    if person is None:
        raise ValueError("a model without people has not been checked")
    found = {person.table, person.departments[0], person.lines.table, *(one.table for one in person.joins.values())}
    for domain in pack.semantic.domains.values():
        for entity in domain.entities.values():
            found |= {entity.table, *(join.table for join in entity.joins.values())}
    found |= {pack.semantic.currencies.table} if pack.semantic.currencies else set()
    return [name for name in pack.schema.tables if name in found]


def fingerprint(pack: Pack) -> str:
    """Changes when a policy would: the database remembers for which pack it was secured."""
    made = json.dumps([*(_condition(pack, one) for one in guarded(pack.semantic).values()), *readable(pack)])
    return hashlib.sha256(made.encode()).hexdigest()[:16]


def statements(pack: Pack) -> list[str]:
    """What the owner of the tables runs once, and again after the pack's visibilities have changed."""
    tables, shielded = readable(pack), guarded(pack.semantic)
    found = [_role(name) for name in (reader, writer)]
    found.append(f"GRANT {reader}, {writer} TO CURRENT_USER")
    found += _functions(pack)
    found += [f"GRANT SELECT ON {name} TO {reader}" for name in tables]
    found += [f"GRANT SELECT, INSERT, UPDATE ON {name} TO {writer}" for name in pack.schema.tables]
    for name in pack.schema.tables:
        found.append(f"DROP POLICY IF EXISTS {policy} ON {name}")
        if name not in shielded:
            found.append(f"ALTER TABLE {name} DISABLE ROW LEVEL SECURITY")
            continue
        condition = _condition(pack, shielded[name])
        found.append(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
        found.append(f"CREATE POLICY {policy} ON {name} TO {reader}, {writer} USING ({condition})")
    return [*found, *_actions(), *_views(pack), f"COMMENT ON FUNCTION tiermesh_colleagues() IS '{fingerprint(pack)}'"]


def _role(name: str) -> str:
    """Roles belong to the server, not to the database: another tenant's may have made them, at the same moment."""
    create = f"CREATE ROLE {name} NOLOGIN NOSUPERUSER NOBYPASSRLS NOINHERIT"
    known = "WHEN duplicate_object OR unique_violation THEN NULL"
    return f"DO $$ BEGIN {create}; EXCEPTION {known}; END $$"


def _actions() -> list[str]:
    """Performed actions are kept by whoever confirmed them; nobody reads another's."""
    table = "tiermesh_actions"
    return [
        f"GRANT SELECT, INSERT ON {table} TO {writer}",
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"DROP POLICY IF EXISTS {policy} ON {table}",
        f"CREATE POLICY {policy} ON {table} TO {writer} USING (person = {person_setting})",
    ]


_refreshing = (
    f"DECLARE counted bigint; BEGIN PERFORM 1 FROM {states} WHERE name = wanted FOR UPDATE; "  # noqa: S608 - our name
    "IF NOT FOUND THEN RAISE EXCEPTION 'there is no such view'; END IF; "
    "EXECUTE format('REFRESH MATERIALIZED VIEW CONCURRENTLY %I', 'tiermesh_kept_' || wanted); "
    "EXECUTE format('SELECT count(*) FROM %I', 'tiermesh_kept_' || wanted) INTO counted; "
    f"UPDATE {states} SET as_of = now() AT TIME ZONE 'UTC', row_count = counted WHERE name = wanted; END"
)


def _views(pack: Pack) -> list[str]:
    """Materialized views know no policies: each lies behind a view that asks what the tables' policies would ask.

    Whoever serves may have them refreshed, by the owner's function, and owns nothing.
    """
    sql = definitions(pack)
    found = [
        create_states,
        f"GRANT SELECT ON {states} TO {reader}",
        f"DELETE FROM {states}",  # noqa: S608 - a name of ours
        "CREATE OR REPLACE FUNCTION tiermesh_refresh_view(wanted text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER "
        f"SET search_path FROM CURRENT AS $$ {_refreshing} $$",
        "REVOKE ALL ON FUNCTION tiermesh_refresh_view(text) FROM PUBLIC",
        f"GRANT EXECUTE ON FUNCTION tiermesh_refresh_view(text) TO {writer}",
    ]
    shielded = guarded(pack.semantic)
    for name, view in pack.semantic.views.items():
        kept, table = f"tiermesh_kept_{name}", table_name(view)
        entity = pack.semantic.domains[view.domain].entities[view.entity]
        rules = shielded.get(entity.table, {}).get(entity.person, ())
        keys = ", ".join(["person", "step", *(f"d_{one}" for one in view.dimensions)])
        condition = _condition(pack, {"person": rules}) if rules else "true"
        found += [
            f"DROP MATERIALIZED VIEW IF EXISTS {kept} CASCADE",
            f"CREATE MATERIALIZED VIEW {kept} AS {sql[name]}",
            f"CREATE UNIQUE INDEX ON {kept} ({keys}) NULLS NOT DISTINCT",
            # No security_barrier: the planner could then not drive the index (506 reports: minutes instead of 0.1 s).
            # It guards against functions that a caller makes up, and the reader may make none.
            f"CREATE VIEW {table} AS SELECT * FROM {kept} WHERE {condition}",  # noqa: S608
            f"GRANT SELECT ON {table} TO {reader}",
            f"INSERT INTO {states} SELECT '{name}', now() AT TIME ZONE 'UTC', "  # noqa: S608
            f"(SELECT count(*) FROM {kept}), '{shape(sql[name])}'",
        ]
    return found


def _functions(pack: Pack) -> list[str]:
    """The owner looks departments up, so that a policy on the people's own table does not ask itself."""
    person = pack.semantic.person
    if person is None:
        raise ValueError("a model without people has not been checked")
    table, key, _, head = person.departments
    units = [f"SELECT {person.department} FROM {person.table} WHERE {person.key} = {person_setting}"]  # noqa: S608
    if head:
        units.append(f"SELECT {key} FROM {table} WHERE {head} = {person_setting}")  # noqa: S608 - checked names
    mine = " UNION ALL ".join(units)
    body = f"SELECT {person.key} FROM {person.table} WHERE {person.department} IN ({mine})"  # noqa: S608
    return [
        "CREATE OR REPLACE FUNCTION tiermesh_colleagues() RETURNS SETOF text LANGUAGE sql STABLE SECURITY DEFINER "
        f"SET search_path FROM CURRENT AS $$ {body} $$",
        "REVOKE ALL ON FUNCTION tiermesh_colleagues() FROM PUBLIC",
        f"GRANT EXECUTE ON FUNCTION tiermesh_colleagues() TO {reader}, {writer}",
    ]


def _condition(pack: Pack, columns: Rules) -> str:
    person: PersonModel | None = pack.semantic.person
    if person is None:
        raise ValueError("a model without people has not been checked")
    lines = person.lines
    found: list[str] = []
    every = [rule for rules in columns.values() for rule in rules]
    roles = sorted({role for rule in every for role in rule.roles})
    if roles:
        listed = ", ".join("'" + role.replace("'", "''") + "'" for role in roles)
        found.append(
            f"(SELECT coalesce(nullif(current_setting('tiermesh.roles', true), ''), '[]')::jsonb ?| ARRAY[{listed}])"
        )
    if any(rule.aggregates != "none" for rule in every):
        found.append(wide_setting)
    # What is the same for all rows stands first: where it holds, no row is looked at.
    for column, rules in columns.items():
        found.append(f"{column} = {person_setting}")
        if any(rule.reports for rule in rules):
            below = f"SELECT {lines.report} FROM {lines.table} WHERE {lines.manager} = {person_setting}"  # noqa: S608
            found.append(f"{column} IN ({below})")
        if any(rule.department for rule in rules):
            found.append(f"{column} IN (SELECT tiermesh_colleagues())")
    return " OR ".join(found)


async def check(pack: Pack, engine: PostgresEngine) -> None:
    """DatabaseDownError when the database would not hold statements to their rows as this pack wants it."""
    rows = await engine.plainly(
        "SELECT rolname, rolsuper OR rolbypassrls, pg_has_role(oid, 'MEMBER') FROM pg_roles "  # noqa: S608 - ours
        f"WHERE rolname IN ('{reader}', '{writer}')"
    )
    roles = {str(name): (bool(mighty), bool(member)) for name, mighty, member in rows}
    for name in (reader, writer):
        if roles.get(name, (False, False)) != (False, True):
            raise DatabaseDownError(f"the role {name} is missing, too mighty, or not granted to this login; {mend}")
    rows = await engine.plainly(
        "SELECT c.relname FROM pg_class c JOIN pg_policy p ON p.polrelid = c.oid WHERE c.relrowsecurity "  # noqa: S608
        f"AND c.relnamespace = current_schema()::regnamespace AND p.polname = '{policy}'"
    )
    lacking = sorted({*guarded(pack.semantic), "tiermesh_actions"} - {str(row[0]) for row in rows})
    if lacking:
        raise DatabaseDownError(f"no row-level security on {', '.join(lacking)}; {mend}")
    rows = await engine.plainly(
        "SELECT obj_description(oid, 'pg_proc') FROM pg_proc WHERE proname = 'tiermesh_colleagues' "
        "AND pronamespace = current_schema()::regnamespace"
    )
    if not rows or rows[0][0] != fingerprint(pack):
        raise DatabaseDownError(f"its policies were made for other visibilities than {pack.identity}'s; {mend}")
