"""Who calls, and whether this deployment is meant: tenant and pack of the request against principal and settings."""

from dataclasses import dataclass

import grpc
from tiermesh.common.v1 import context_pb2
from tiermesh_runtime import deadlines, principal
from tiermesh_runtime.errors import RpcError
from tiermesh_runtime.principal import Principal

from tiermesh_aggregator.query import Viewer

reserve_seconds = 0.02
"""Left for the answer to travel once the statement has run into its time."""


@dataclass(frozen=True)
class Gatekeeper:
    """Checks that every call goes through."""

    tenant: str
    pack: str
    statement_timeout: float

    def admit(self, context: context_pb2.RequestContext) -> Principal:
        """The principal. RpcError when the request is not for this tenant and pack."""
        who = principal.current()
        if context.tenant != who.tenant or who.tenant != self.tenant:
            raise RpcError(grpc.StatusCode.PERMISSION_DENIED, "NOT_ALLOWED", "This data is another tenant's.")
        if context.pack_version != self.pack:
            raise RpcError(
                grpc.StatusCode.FAILED_PRECONDITION,
                "PACK_VERSION_MISMATCH",
                f"The pack loaded here is {self.pack}.",
                metadata={"loaded": self.pack, "asked": context.pack_version},
            )
        return who

    def budget(self) -> float:
        """Seconds that a statement of this call may take."""
        return deadlines.budget(self.statement_timeout, reserve=reserve_seconds, hop="database")


def viewer(who: Principal) -> Viewer:
    """The only source of row scope. A subject that no database can hold is nobody's."""
    return Viewer("" if "\x00" in who.subject else who.subject, who.roles)
