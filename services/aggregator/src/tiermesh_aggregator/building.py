"""Puts the service together from its settings; raises StartupError with the mend when something lacks."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from tiermesh.aggregator.v1 import aggregator_service_pb2_grpc
from tiermesh.tools.v1 import tools_service_pb2_grpc
from tiermesh_pack.documents import PackError
from tiermesh_pack.manifest import Defaults
from tiermesh_pack.pack import Pack, load_pack
from tiermesh_runtime import telemetry
from tiermesh_runtime.principal import PrincipalVerifier
from tiermesh_runtime.server import Registration, ServiceParts
from tiermesh_runtime.settings import with_password
from tiermesh_runtime.startup import StartupError

from tiermesh_aggregator import row_security
from tiermesh_aggregator.actions.action import Action
from tiermesh_aggregator.actions.attendance import RegularizeAttendance
from tiermesh_aggregator.actions.decisions import DecideExpenses, DecideLeave
from tiermesh_aggregator.actions.desk import OpenTicket, RequestLetter, UpdateProfile
from tiermesh_aggregator.actions.expenses import SubmitExpenses
from tiermesh_aggregator.actions.feedback import GiveFeedback
from tiermesh_aggregator.actions.leave import ApplyForLeave, CancelLeave
from tiermesh_aggregator.actions.performing import Actions
from tiermesh_aggregator.actions.tokens import Tokens
from tiermesh_aggregator.answering import Answering, Database
from tiermesh_aggregator.engines.address import DuckAddress, address
from tiermesh_aggregator.engines.engine import Engine
from tiermesh_aggregator.engines.postgres import PostgresEngine
from tiermesh_aggregator.failures import AggregatorError, DatabaseDownError, GraphRefusedError
from tiermesh_aggregator.gatekeeping import Gatekeeper
from tiermesh_aggregator.graph.gates import Limits
from tiermesh_aggregator.graph.querying import Graph
from tiermesh_aggregator.handbook import Handbook
from tiermesh_aggregator.precomputing import Views
from tiermesh_aggregator.servicer import AggregatorServicer
from tiermesh_aggregator.settings import AggregatorSettings
from tiermesh_aggregator.tools.toolbox import Toolbox
from tiermesh_aggregator.tools_servicer import ToolsServicer

log = logging.getLogger(__name__)
known_actions: tuple[Action, ...] = (
    ApplyForLeave(),
    CancelLeave(),
    DecideLeave(),
    RegularizeAttendance(),
    SubmitExpenses(),
    DecideExpenses(),
    GiveFeedback(),
    OpenTicket(),
    RequestLetter(),
    UpdateProfile(),
)
prefix = "TIERMESH_AGGREGATOR_"


@asynccontextmanager
async def build(settings: AggregatorSettings) -> AsyncIterator[ServiceParts]:
    """The two services over one pack and one database, as long as the block runs."""
    pack = _pack(settings.pack)
    engine = await _engine(settings)
    handbook = Handbook(pack.handbook)
    looking: asyncio.Task[None] | None = None
    try:
        await _check_schema(pack, engine, settings)
        database = Database(engine, telemetry.tracer("tiermesh_aggregator"), telemetry.meter("tiermesh_aggregator"))
        views = Views(pack, engine)
        await views.look()
        answering = Answering(pack, database, views)
        actions = await _actions(settings, engine, database, answering, views)
        defaults = _defaults(pack, settings)
        gatekeeper = Gatekeeper(settings.tenant, pack.identity, settings.statement_timeout_seconds)
        named = {
            tool: tuple(one.name for one in pack.vocabulary.intents.values() if tool in one.tools)
            for tool in (action.tool for action in known_actions)
        }
        toolbox = Toolbox(pack, answering, handbook, actions.tools(named) if actions else ())
        aggregator = AggregatorServicer(
            gatekeeper,
            answering,
            actions=actions,
            defaults=defaults,
            views=views,
            graph=_graph(pack, answering, settings),
            slot_confidence=settings.slot_confidence,
        )
        tools = ToolsServicer(gatekeeper, toolbox, defaults)
        looking = asyncio.create_task(views.keep_looking())
        parts = ServiceParts(
            name="aggregator",
            audience="aggregator",
            registrations=(
                Registration(
                    aggregator_service_pb2_grpc.add_AggregatorServiceServicer_to_server,
                    aggregator,
                    "tiermesh.aggregator.v1.AggregatorService",
                ),
                Registration(
                    tools_service_pb2_grpc.add_ToolsServiceServicer_to_server, tools, "tiermesh.tools.v1.ToolsService"
                ),
            ),
        )
        async with _mcp(settings, toolbox, gatekeeper, defaults):
            yield parts
    finally:
        if looking is not None:
            looking.cancel()
        handbook.close()
        await engine.close()


@asynccontextmanager
async def _mcp(
    settings: AggregatorSettings, toolbox: Toolbox, gatekeeper: Gatekeeper, defaults: Defaults
) -> AsyncIterator[None]:
    if settings.mcp_port is None:
        yield
        return
    if settings.principal_public_key is None:
        raise StartupError(f"{prefix}PRINCIPAL_PUBLIC_KEY: it is needed to serve MCP; `tiermesh up` writes one")
    if settings.workers > 1 and settings.mcp_port:
        raise StartupError(f"{prefix}WORKERS: MCP is served by one process; set it to 1, and scale by replicas")
    # Imported only where it is used: the web server costs start-up time and memory.
    from tiermesh_aggregator.mcp_serving import listening
    from tiermesh_aggregator.mcp_tools import McpTools, Verifier

    principals = PrincipalVerifier(settings.principal_public_key.read_bytes(), "aggregator")
    verifier = Verifier(principals, gatekeeper)
    async with listening(McpTools(toolbox, gatekeeper, verifier, defaults), verifier, settings) as where:
        log.info("tools are served over MCP at %s", where.url)
        yield


def _pack(path: Path) -> Pack:
    if not (path / "pack.yaml").is_file():
        raise StartupError(f"{prefix}PACK: there is no pack in {path}; name the folder that holds pack.yaml")
    try:
        return load_pack(path)
    except PackError as error:
        raise StartupError(f"{prefix}PACK: {error}") from error


def _defaults(pack: Pack, settings: AggregatorSettings) -> Defaults:
    currencies = pack.semantic.currencies
    if not settings.currency:
        return pack.defaults
    if currencies is None or settings.currency not in currencies.reporting:
        known = ", ".join(currencies.reporting) if currencies else "none"
        raise StartupError(f"{prefix}CURRENCY: {settings.currency} is none that the pack converts to ({known})")
    return replace(pack.defaults, currency=settings.currency)


def _graph(pack: Pack, answering: Answering, settings: AggregatorSettings) -> Graph:
    try:
        limits = Limits(rows=settings.graph_max_rows, cost=settings.graph_max_cost)
        return Graph(answering, pack.operations, limits)
    except GraphRefusedError as error:
        raise StartupError(f"{prefix}PACK: {pack.path}/operations: {error}") from error


async def _engine(settings: AggregatorSettings) -> Engine:
    target = address(settings.database)
    try:
        if not isinstance(target, DuckAddress):
            return await PostgresEngine.open(
                with_password(target.url, settings.database_password_file),
                statement_timeout=settings.statement_timeout_seconds,
                connections=settings.concurrency,
                replicas=tuple(with_password(each, settings.database_password_file) for each in settings.replicas),
                secured=settings.row_security == "required",
            )
        if settings.workers > 1:
            raise StartupError(f"{prefix}WORKERS: DuckDB belongs to one process; set it to 1, or use PostgreSQL")
        if not target.path.is_file():
            raise StartupError(f"{prefix}DATABASE: {target.path} does not exist; run: tiermesh seed")
        # Imported only now: a process that ends here would else report the library's own leaks at exit.
        from tiermesh_aggregator.engines.duck import DuckEngine

        return DuckEngine(
            target.path,
            memory=settings.memory_limit,
            threads=settings.threads,
            concurrency=settings.concurrency,
        )
    except DatabaseDownError as error:
        raise StartupError(f"{prefix}DATABASE: {error}") from error


async def _check_schema(pack: Pack, engine: Engine, settings: AggregatorSettings) -> None:
    try:
        there = await engine.columns()
        if isinstance(engine, PostgresEngine) and engine.secured and pack.schema.tables.keys() <= there.keys():
            await row_security.check(pack, engine)
    except AggregatorError as error:
        raise StartupError(f"{prefix}DATABASE: {error}") from error
    lacking = []
    for table in pack.schema.tables.values():
        if table.name not in there:
            lacking.append(table.name)
            continue
        lacking += [f"{table.name}.{one.name}" for one in table.columns if one.name not in there[table.name]]
    if lacking:
        shown = ", ".join(lacking[:10]) + (f" and {len(lacking) - 10} more" if len(lacking) > 10 else "")
        raise StartupError(
            f"{prefix}DATABASE: the database does not have what {settings.pack}/schema.yaml describes: {shown}; "
            "add it to a database of your own; for invented data run: tiermesh seed --force"
        )


async def _actions(
    settings: AggregatorSettings, engine: Engine, database: Database, answering: Answering, views: Views
) -> Actions | None:
    """None without a key: then nothing can be proposed and nothing performed."""
    if settings.action_key_file is None:
        return None
    try:
        tokens = Tokens(settings.action_key_file.read_bytes().strip())
    except (OSError, ValueError) as error:
        raise StartupError(f"{prefix}ACTION_KEY_FILE: {settings.action_key_file}: {error}") from error
    actions = Actions(
        known_actions, answering.catalog, engine=engine, database=database, tokens=tokens, written=views.touched
    )
    try:
        await actions.prepare(settings.statement_timeout_seconds)
    except AggregatorError as error:
        raise StartupError(f"{prefix}DATABASE: the table of actions cannot be made: {error}") from error
    return actions
