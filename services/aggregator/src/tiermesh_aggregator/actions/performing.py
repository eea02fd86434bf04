"""Proposes actions, and performs a confirmed one exactly once.

The token's id is written in the same transaction as the action's rows: whoever brings the token again, or twice at
once, gets the first result again.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from tiermesh_aggregator.actions.action import Action, Rows, Setting
from tiermesh_aggregator.actions.tokens import Sealed, Tokens
from tiermesh_aggregator.answering import Database
from tiermesh_aggregator.compiling.catalog import Catalog
from tiermesh_aggregator.engines.engine import ConflictError, Engine, Transaction
from tiermesh_aggregator.engines.identity import Identity
from tiermesh_aggregator.engines.statement import Statement, statement
from tiermesh_aggregator.failures import BadFieldError, ProposalInvalidError, UnknownNameError
from tiermesh_aggregator.query import Moment, Viewer
from tiermesh_aggregator.tools.tool import Arguments, Call, Kind, Proposal, Tool

attempts = 5
create = (
    "CREATE TABLE IF NOT EXISTS tiermesh_actions (proposal_id text PRIMARY KEY, tenant text NOT NULL, "
    "person text NOT NULL, action text NOT NULL, arguments text NOT NULL, summary text NOT NULL, "
    "record_id text NOT NULL, performed_at timestamp NOT NULL)"
)
done = sa.table(
    "tiermesh_actions",
    *(
        sa.column(name, sa.Text)
        for name in ("proposal_id", "tenant", "person", "action", "arguments", "summary", "record_id")
    ),
    sa.column("performed_at", sa.TIMESTAMP),
)


@dataclass(frozen=True)
class Performed:
    """What was done."""

    proposal_id: str
    summary: str
    record_id: str
    performed_at: datetime
    repeated: bool


class Actions:
    """The actions that a pack's tables allow."""

    def __init__(
        self,
        known: Iterable[Action],
        catalog: Catalog,
        *,
        engine: Engine,
        database: Database,
        tokens: Tokens,
        written: Callable[[Iterable[str]], None] = lambda tables: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`written` is told the tables of every action that was performed."""
        self._actions: Mapping[str, Action] = {
            action.name: action for action in known if action.tables <= catalog.schema.tables.keys()
        }
        self._catalog = catalog
        self._engine = engine
        self._database = database
        self._tokens = tokens
        self._written = written
        self._now = now

    async def prepare(self, timeout: float) -> None:
        """Makes the table of performed actions where it is not there yet; a secured database has it already."""
        if self._engine.secured:
            return
        async with self._engine.writing(timeout) as transaction:
            await transaction.fetch(Statement(create, (), ""))

    def tools(self, intents: Mapping[str, tuple[str, ...]]) -> list[Tool]:
        """One proposing tool per action; `intents` by tool name, else the action's own name is its intent."""
        return [
            Tool(
                name=action.tool,
                description=action.description,
                schema=action.schema,
                kind=Kind.PROPOSAL,
                run=self._proposing(action),
                intents=intents.get(action.tool) or (action.name,),
                domain=action.name.partition(".")[0],
            )
            for action in self._actions.values()
        ]

    def _proposing(self, action: Action) -> Any:
        async def run(arguments: Arguments, call: Call) -> Proposal:
            identity = Identity(call.viewer.person, call.viewer.roles)

            async def ask(clause: sa.sql.ClauseElement) -> Rows:
                fetched = await self._database.fetch(statement(clause), call.timeout, f"check {action.name}", identity)
                return fetched.rows

            setting = Setting(self._catalog, call.viewer.person, call.moment.today)
            draft = await action.draft(arguments, setting, ask)
            sealed, token = self._tokens.seal(
                action.name, draft.arguments, tenant=call.tenant, person=call.viewer.person
            )
            return Proposal(sealed.proposal_id, action.name, draft.summary, draft.fields, token, sealed.expires_at)

        return run

    async def perform(self, token: str, *, tenant: str, viewer: Viewer, moment: Moment, timeout: float) -> Performed:
        """Performs a proposal, or answers its first result again. ProposalInvalidError when it no longer holds."""
        person = viewer.person
        sealed = self._tokens.open(token, tenant=tenant, person=person)
        action = self._actions.get(sealed.action)
        if action is None:
            raise ProposalInvalidError("This deployment does not perform such actions.")
        for _ in range(attempts):
            try:
                async with self._engine.writing(timeout, Identity(person, viewer.roles)) as transaction:
                    performed = await self._once(
                        transaction, sealed, action, tenant=tenant, person=person, moment=moment
                    )
                self._written(action.tables)
                return performed
            except ConflictError:
                continue  # somebody wrote the same rows meanwhile: look again
        raise ProposalInvalidError("Others change the same records just now; confirm once more.")

    async def _once(
        self, transaction: Transaction, sealed: Sealed, action: Action, *, tenant: str, person: str, moment: Moment
    ) -> Performed:
        async def ask(clause: sa.sql.ClauseElement) -> Rows:
            return await transaction.fetch(statement(clause))

        columns = (done.c.summary, done.c.record_id, done.c.performed_at)
        known = await ask(sa.select(*columns).where(done.c.proposal_id == sealed.proposal_id))
        if known:
            summary, record_id, performed_at = known[0]
            return Performed(sealed.proposal_id, summary, record_id, performed_at.replace(tzinfo=UTC), repeated=True)
        if self._tokens.expired(sealed):
            raise ProposalInvalidError("The proposal has expired; ask for it again.")
        setting = Setting(self._catalog, person, moment.today)
        try:
            draft = await action.draft(sealed.arguments, setting, ask)
        except (BadFieldError, UnknownNameError) as error:
            raise ProposalInvalidError(f"The proposal no longer holds: {error}") from error
        record_id = await action.perform(draft, setting, ask)
        performed_at = datetime.fromtimestamp(self._now(), UTC)
        await ask(
            sa.insert(done).values(
                proposal_id=sealed.proposal_id,
                tenant=tenant,
                person=person,
                action=action.name,
                arguments=json.dumps(dict(draft.arguments), sort_keys=True),
                summary=draft.summary,
                record_id=record_id,
                performed_at=performed_at.replace(tzinfo=None),
            )
        )
        return Performed(sealed.proposal_id, draft.summary, record_id, performed_at, repeated=False)
