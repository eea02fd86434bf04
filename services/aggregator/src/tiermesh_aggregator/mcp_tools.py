"""The tools over MCP: lists and runs what `tiermesh.tools.v1` does, for the signed principal in the bearer token.

Not here: listening (`mcp_serving`) and what a tool does (`tools`).
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from mcp.server import Server
from mcp.server.auth.provider import AccessToken
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    ToolAnnotations,
)
from mcp.types import Tool as McpTool
from tiermesh_pack.manifest import Defaults
from tiermesh_runtime.errors import RpcError
from tiermesh_runtime.principal import Principal, PrincipalVerifier

from tiermesh_aggregator import calendars
from tiermesh_aggregator.failures import AggregatorError, AmbiguousNameError, BadFieldError, UnknownNameError
from tiermesh_aggregator.gatekeeping import Gatekeeper, viewer
from tiermesh_aggregator.query import Moment, ResultTable
from tiermesh_aggregator.tools.tool import Call, Kind, Passages, Result, Tool
from tiermesh_aggregator.tools.toolbox import Toolbox, UnknownToolError

log = logging.getLogger(__name__)


class Verifier:
    """The SDK's token verifier over the principals of the gateway."""

    def __init__(self, principals: PrincipalVerifier, gatekeeper: Gatekeeper) -> None:
        self._principals = principals
        self._gatekeeper = gatekeeper

    async def verify_token(self, token: str) -> AccessToken | None:
        """What a token grants; None, which is a 401, when it is no principal for this data."""
        who = self.principal(token)
        if who is None:
            return None
        return AccessToken(
            token=token, client_id=who.tenant, scopes=[], expires_at=int(who.expires_at), subject=who.subject
        )

    def principal(self, token: str) -> Principal | None:
        """The principal of a token that is good now, for this tenant and this pack."""
        try:
            who = self._principals.verify(token)
        except RpcError:
            return None
        ours = who.tenant == self._gatekeeper.tenant and who.pack_version in ("", self._gatekeeper.pack)
        return who if ours else None


class McpTools:
    """The two handlers. Every request is judged by its own token: a session grants nothing."""

    def __init__(self, toolbox: Toolbox, gatekeeper: Gatekeeper, verifier: Verifier, defaults: Defaults) -> None:
        self._toolbox = toolbox
        self._gatekeeper = gatekeeper
        self._verifier = verifier
        self._defaults = defaults
        self._listed = [_described(tool) for tool in toolbox.tools.values()]

    def server(self) -> "Server[Any]":
        """The SDK's server with these handlers."""
        return Server(
            "tiermesh-aggregator",
            version=self._toolbox.version,
            instructions="Figures come from one bulk call, never from a loop over people.",
            on_list_tools=self._list,
            on_call_tool=self._call,
        )

    async def _list(self, context: ServerRequestContext[Any], _: PaginatedRequestParams | None) -> ListToolsResult:
        self._who(context)
        return ListToolsResult(tools=self._listed)

    async def _call(self, context: ServerRequestContext[Any], params: CallToolRequestParams) -> CallToolResult:
        who = self._who(context)
        zone = calendars.time_zone(self._defaults.time_zone)
        today = datetime.now(UTC).astimezone(zone).date()
        moment = Moment(today, self._defaults.fiscal_year_start, self._defaults.week_start)
        call = Call(viewer(who), who.tenant, moment, self._gatekeeper.statement_timeout, who.request_id)
        try:
            result = await self._toolbox.call(params.name, json.dumps(params.arguments or {}), call)
        except UnknownToolError as error:
            raise MCPError(INVALID_PARAMS, f"{error} Nearest: {', '.join(error.nearest)}.") from error
        except AggregatorError as error:
            return _refused(error)
        except Exception:
            log.exception("a tool failed")
            return _told({"message": "The tool failed; the service's log says how."}, failed=True)
        return _told(_shown(result))

    def _who(self, context: ServerRequestContext[Any]) -> Principal:
        request = context.request
        user = request.scope.get("user") if request is not None else None
        token = getattr(user, "access_token", None)
        who = self._verifier.principal(token.token) if token is not None else None
        if who is None:
            raise MCPError(INVALID_PARAMS, "The call carries no principal that is good here.")
        return who


def _described(tool: Tool) -> McpTool:
    return McpTool(
        name=tool.name,
        description=tool.description,
        input_schema=dict(tool.schema),
        annotations=ToolAnnotations(read_only_hint=tool.kind is not Kind.PROPOSAL, open_world_hint=False),
    )


def _refused(error: AggregatorError) -> CallToolResult:
    """What the model may mend by itself."""
    told: dict[str, Any] = {"message": str(error)}
    if isinstance(error, UnknownNameError | BadFieldError):
        told |= {"argument": error.field, "nearest": list(error.nearest)}
    if isinstance(error, AmbiguousNameError):
        told |= {"question": error.question, "options": list(error.options)}
    return _told(told, failed=True)


def _told(content: Mapping[str, Any], *, failed: bool = False) -> CallToolResult:
    text = TextContent(type="text", text=json.dumps(content, ensure_ascii=False))
    return CallToolResult(content=[text], structured_content=dict(content), is_error=failed)


def _shown(result: Result) -> dict[str, Any]:
    if isinstance(result, ResultTable):
        return {
            "caption": result.caption,
            "columns": [asdict(column) for column in result.columns],
            "rows": [list(row) for row in result.rows],
            "notes": list(result.notes),
            "truncated": result.truncated,
            "as_of": (result.as_of or datetime.now(UTC)).isoformat(),
            "statements": result.statements,
            "statement_fingerprint": result.fingerprint,
        }
    if isinstance(result, Passages):
        return {"passages": [asdict(one) for one in result.passages]}
    return asdict(result)
