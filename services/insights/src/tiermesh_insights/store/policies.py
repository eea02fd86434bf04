"""Thresholds as they were proposed and applied: every version is kept, the newest is in force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tiermesh_insights.records import PolicyRow, ProposalRow
from tiermesh_insights.store.database import Database
from tiermesh_insights.tables import POLICIES, PROPOSALS

_NEWEST = 50


class OutdatedError(Exception):
    """The threshold has moved since; the argument is the version in force, "" where none was ever applied."""


class UnknownError(Exception):
    """No such proposal or version for this tenant."""


class Policies:
    """Proposals and versions. Applying and undoing are one transaction each, one at a time per tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def current(self, tenants: Sequence[str] | None = None) -> list[PolicyRow]:
        """Return the versions in force, of all tenants where none are named."""
        newest = select(POLICIES.c.tenant, func.max(POLICIES.c.number)).group_by(POLICIES.c.tenant)
        statement = select(POLICIES).where(tuple_(POLICIES.c.tenant, POLICIES.c.number).in_(newest))
        if tenants is not None:
            statement = statement.where(POLICIES.c.tenant.in_(tenants))
        return [PolicyRow(*row) for row in await self._database.rows(statement.order_by(POLICIES.c.tenant))]

    async def versions(self, tenant: str) -> list[PolicyRow]:
        """Return the tenant's versions, newest first, at most 50."""
        statement = select(POLICIES).where(POLICIES.c.tenant == tenant).order_by(POLICIES.c.number.desc())
        return [PolicyRow(*row) for row in await self._database.rows(statement.limit(_NEWEST))]

    async def proposals(self, tenant: str) -> list[ProposalRow]:
        """Return the tenant's proposals, newest first, at most 50."""
        statement = select(PROPOSALS).where(PROPOSALS.c.tenant == tenant).order_by(PROPOSALS.c.proposed_at.desc())
        return [ProposalRow(*row) for row in await self._database.rows(statement.limit(_NEWEST))]

    async def store_proposal(self, row: ProposalRow) -> None:
        """Keep a proposal."""
        async with self._database.transaction() as connection:
            await connection.execute(self._database.insert(PROPOSALS).values(**asdict(row)))

    async def apply(self, tenant: str, proposal_id: str, by: str, at: datetime) -> PolicyRow:
        """Put a proposal in force; again gives the version that it made. Raises UnknownError, OutdatedError."""
        async with self._database.transaction(alone=f"policies.{tenant}") as connection:
            found = (
                await connection.execute(
                    select(PROPOSALS).where(PROPOSALS.c.tenant == tenant, PROPOSALS.c.proposal_id == proposal_id)
                )
            ).one_or_none()
            if found is None:
                raise UnknownError(proposal_id)
            proposal = ProposalRow(*found)
            known = await _history(connection, tenant)
            if proposal.version:
                return next(row for row in known if row.version == proposal.version)
            in_force = known[0].version if known else ""
            if proposal.based_on != in_force:
                raise OutdatedError(in_force)
            made = await self._add(
                connection, known, tenant, proposal.proposed, applied=True, by=by, at=at, proposal_id=proposal_id
            )
            await connection.execute(
                update(PROPOSALS).where(PROPOSALS.c.proposal_id == proposal_id).values(version=made.version)
            )
        return made

    async def undo(self, tenant: str, version: str, by: str, at: datetime) -> PolicyRow:
        """Go back to what was in force before `version`; again gives what that made.

        Raises UnknownError, and OutdatedError when another version is in force.
        """
        async with self._database.transaction(alone=f"policies.{tenant}") as connection:
            known = await _history(connection, tenant)
            again = next((row for row in known if row.undoes == version), None)
            if again is not None:
                return again
            undone = next((row for row in known if row.version == version), None)
            if undone is None:
                raise UnknownError(version)
            if known[0].version != version:
                raise OutdatedError(known[0].version)
            before = _before(known, undone)
            if before is None:  # what stood before anything was applied
                stood = select(PROPOSALS.c.current).where(PROPOSALS.c.proposal_id == undone.proposal_id)
                threshold = float((await connection.execute(stood)).scalar_one())
            else:
                threshold = before.threshold
            return await self._add(
                connection,
                known,
                tenant,
                threshold,
                applied=before is not None and before.applied,
                by=by,
                at=at,
                undoes=version,
            )

    async def _add(
        self,
        connection: AsyncConnection,
        known: Sequence[PolicyRow],
        tenant: str,
        threshold: float,
        *,
        applied: bool,
        by: str,
        at: datetime,
        proposal_id: str = "",
        undoes: str = "",
    ) -> PolicyRow:
        number = known[0].number + 1 if known else 1
        # The date is for people; the number makes it unique and ordered also when a clock jumps back.
        row = PolicyRow(
            tenant, number, f"insights-{number}.{at:%Y%m%d}", threshold, applied, at, by[:120], proposal_id, undoes
        )
        await connection.execute(self._database.insert(POLICIES).values(**asdict(row)))
        return row


def _before(known: Sequence[PolicyRow], undone: PolicyRow) -> PolicyRow | None:
    """What was in force before. Undoing an undo brings back what it undid, so that undo is its own inverse."""
    return next((row for row in known if row.number < undone.number), None)


async def _history(connection: AsyncConnection, tenant: str) -> list[PolicyRow]:
    """The tenant's versions, newest first."""
    rows = await connection.execute(
        select(POLICIES).where(POLICIES.c.tenant == tenant).order_by(POLICIES.c.number.desc())
    )
    return [PolicyRow(*row) for row in rows.all()]
