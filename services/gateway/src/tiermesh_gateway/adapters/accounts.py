"""What replicas count together, per tenant and topic: a row each, locked while a pure step makes its next state."""

from __future__ import annotations

import json
import time
from typing import TypeVar

from tiermesh_gateway.adapters.database import Database, Operation
from tiermesh_gateway.ports import Present, Step

T = TypeVar("T")


class SharedAccounts:
    """The accounts of all replicas, as this one changes them."""

    def __init__(self, database: Database, holder: str) -> None:
        """The holder must be known to `shared.Holders`: what others have taken counts while they are alive."""
        self._database = database
        self._holder = holder

    async def change(self, tenant: str, topic: str, step: Step[T]) -> T:
        """Take one step from the state as it is; StoreUnavailable when none was taken."""
        return await self._database.run(_changed(tenant, topic, self._holder, step))


def _changed(tenant: str, topic: str, holder: str, step: Step[T]) -> Operation[T]:
    key = (tenant, topic)
    # Writing the row first locks it on either engine: steps come one after the other.
    lock = "UPDATE accounts SET topic = topic WHERE tenant = $1 AND topic = $2 RETURNING state"
    rows = yield lock, key
    if not rows:
        yield "INSERT INTO accounts VALUES ($1, $2, '{}') ON CONFLICT DO NOTHING", key
        rows = yield lock, key
    now = time.time()
    alive = yield "SELECT holder FROM holders WHERE alive_until > $1", (now,)
    known = rows[0][0]
    state, result = step(json.loads(known), Present(now, holder, frozenset(str(each) for (each,) in alive)))
    text = json.dumps(state)
    if text != known:
        yield "UPDATE accounts SET state = $3 WHERE tenant = $1 AND topic = $2", (*key, text)
    return result
