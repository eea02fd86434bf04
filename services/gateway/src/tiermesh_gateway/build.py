"""Puts the gateway together: opens what it needs, yields its parts when ready, closes in reverse."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import structlog
from tiermesh.gateway.v1 import gateway_service_pb2_grpc as rpc
from tiermesh_policy import Tier
from tiermesh_runtime.principal import PrincipalSigner
from tiermesh_runtime.server import Registration, ServiceParts
from tiermesh_runtime.startup import StartupError

from tiermesh_gateway.adapters.accounts import SharedAccounts
from tiermesh_gateway.adapters.classifier import GrpcClassifier
from tiermesh_gateway.adapters.executors import GrpcExecutors
from tiermesh_gateway.adapters.health import ChannelHealth
from tiermesh_gateway.adapters.insights import PolicyFollower, RecordPrincipal
from tiermesh_gateway.adapters.pill_tokens import PillTokens
from tiermesh_gateway.adapters.records import Delivery, SpoolRecorder
from tiermesh_gateway.adapters.shared import SharedBudgets, SharedRequests
from tiermesh_gateway.adapters.store import Store
from tiermesh_gateway.adapters.suggester import GrpcSuggester
from tiermesh_gateway.adapters.summarizer import GrpcSummarizer
from tiermesh_gateway.adapters.surroundings import TaskSurroundings
from tiermesh_gateway.adapters.thresholds import KeptThresholds
from tiermesh_gateway.adapters.vocabularies import PackVocabularies
from tiermesh_gateway.adapters.wire import packed
from tiermesh_gateway.admission import Admission, Capacity
from tiermesh_gateway.asking import Asking, Parts
from tiermesh_gateway.background import Background
from tiermesh_gateway.certificates import CallersUnusableError, CertificateCallers
from tiermesh_gateway.errors import StoreUnavailable
from tiermesh_gateway.identity import KeySource, TokenVerifier
from tiermesh_gateway.keysets import JwksFile, JwksUrl, KeysUnusableError, fetch_text
from tiermesh_gateway.leases import Leases
from tiermesh_gateway.opening import Channels, Stores, open_channels, open_stores
from tiermesh_gateway.requests import SharedRuns
from tiermesh_gateway.sampling import Sampler
from tiermesh_gateway.servicer import GatewayServicer
from tiermesh_gateway.settings import GatewaySettings
from tiermesh_gateway.speculation import Governor
from tiermesh_gateway.tenants import TenantBook, TenantsUnusableError
from tiermesh_gateway.turns import Holding, TurnOrder

SERVICE = "tiermesh.gateway.v1.GatewayService"
_FORGET_EVERY_SECONDS = 3600.0
_TELL_EVERY_SECONDS = 1.0
# Fewer could be guessed, and with them whose records are whose.
_LEAST_KEY_BYTES = 16


@asynccontextmanager
async def build(settings: GatewaySettings) -> AsyncIterator[ServiceParts]:
    """The gateway, ready to serve; StartupError names the setting or file and the mend."""
    async with AsyncExitStack() as stack:
        tenants, signer, private_key = _from_files(settings)
        verifier = TokenVerifier(await _keys(settings, stack))
        stores = await open_stores(settings, stack)
        background = Background()
        channels = await open_channels(settings, stack)
        principal = RecordPrincipal(signer)
        await stack.enter_async_context(Delivery(stores.spool, channels.insights, principal))
        # Before the spool and the store are closed: what was handed to them is written.
        stack.push_async_callback(background.finish)
        surroundings = TaskSurroundings(signer)
        parts = _parts(settings, stores, channels, background, surroundings=surroundings, private_key=private_key)
        runs = _runs(settings, stores, background)
        # Runs that are ended at the close still have their last words to write.
        stack.push_async_callback(background.finish)
        stack.push_async_callback(runs.close)
        accounts = SharedAccounts(stores.database, stores.holder)
        leases, governor = Leases(accounts, background), Governor(accounts)
        admission = Admission(Capacity(settings.most_questions, settings.lag_seconds), leases)
        follower = PolicyFollower(channels.insights, principal, tenants.set_threshold, KeptThresholds(stores.database))
        await follower.restore()
        await stack.enter_async_context(_beside(_tell(leases, governor)))
        await stack.enter_async_context(_chores(settings, tenants, stores.store, admission, follower))
        turns = Holding(TurnOrder(wait_seconds=settings.busy_seconds), stores.store, background)
        servicer = GatewayServicer(
            verifier=verifier,
            certificates=_certificate_callers(settings),
            tenants=tenants,
            asking=Asking(parts, turns, admission, governor, Sampler(), settings.context_characters),
            runs=runs,
            store=stores.store,
            recorder=parts.recorder,
            surroundings=surroundings,
            aggregator=channels.aggregator,
        )
        registration = Registration(rpc.add_GatewayServiceServicer_to_server, servicer, SERVICE)
        yield ServiceParts(name="gateway", registrations=[registration], audience=None)


def _parts(
    settings: GatewaySettings,
    stores: Stores,
    channels: Channels,
    background: Background,
    *,
    surroundings: TaskSurroundings,
    private_key: bytes,
) -> Parts:
    """What a question meets, each behind the domain's port."""
    pill_tokens = PillTokens(private_key)
    return Parts(
        classifier=GrpcClassifier(channels.classifier, seconds=settings.classify_seconds),
        executors=GrpcExecutors(channels.executors),
        suggester=GrpcSuggester(channels.suggester, pill_tokens),
        pill_tokens=pill_tokens,
        conversations=stores.store,
        budgets=SharedBudgets(stores.database, stores.holder),
        summarizer=GrpcSummarizer(channels.executors[Tier.ONE]),
        recorder=SpoolRecorder(stores.spool, background, _subject_key(settings.subject_key, private_key)),
        surroundings=surroundings,
        health=ChannelHealth(channels.executors, channels.aggregator),
        background=background,
    )


def _subject_key(file: Path | None, private_key: bytes) -> bytes:
    """What people's ids are hashed with on their way into records."""
    if file is None:
        return hashlib.sha256(b"tiermesh subjects" + private_key).digest()
    try:
        key = file.read_bytes()
    except OSError as error:
        raise StartupError(f"TIERMESH_GATEWAY_SUBJECT_KEY: {error}; name a file that this process may read") from error
    if len(key) < _LEAST_KEY_BYTES:
        raise StartupError(
            f"TIERMESH_GATEWAY_SUBJECT_KEY: {file} has {len(key)} bytes; write at least {_LEAST_KEY_BYTES} random ones"
        )
    return key


def _runs(settings: GatewaySettings, stores: Stores, background: Background) -> SharedRuns:
    return SharedRuns(
        SharedRequests(stores.database, stores.holder, keep_seconds=settings.replay_seconds),
        background,
        packed,
        keep_seconds=settings.replay_seconds,
        heartbeat=settings.heartbeat_seconds,
    )


async def _keys(settings: GatewaySettings, stack: AsyncExitStack) -> KeySource:
    try:
        if settings.jwks is not None:
            return JwksFile(settings.jwks, look_every=settings.reload_seconds)
        keys = JwksUrl(settings.jwks_url, fetch_text)
        await keys.start()
    except KeysUnusableError as error:
        raise StartupError(f"TIERMESH_GATEWAY_JWKS{'' if settings.jwks else '_URL'}: {error}") from error
    await stack.enter_async_context(_beside(keys.keep_fresh()))
    return keys


async def _tell(leases: Leases, governor: Governor) -> None:
    """Tell the other replicas what this one does not need, and how much it was asked."""
    while True:
        await asyncio.sleep(_TELL_EVERY_SECONDS)
        try:
            await leases.give_back_idle()
            await governor.tell()
        except StoreUnavailable as error:
            structlog.get_logger().warning("store_unavailable", problem=str(error))


def _certificate_callers(settings: GatewaySettings) -> CertificateCallers | None:
    if settings.certificate_callers is None:
        return None
    try:
        return CertificateCallers(settings.certificate_callers, look_every=settings.reload_seconds)
    except CallersUnusableError as error:
        raise StartupError(f"TIERMESH_GATEWAY_CERTIFICATE_CALLERS:\n{error}") from error


@asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run `work`, which never ends by itself, while the block runs."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def _from_files(settings: GatewaySettings) -> tuple[TenantBook, PrincipalSigner, bytes]:
    try:
        tenants = TenantBook(settings.tenants, PackVocabularies(settings.packs))
        private_key = settings.principal_key.read_bytes()
        return tenants, PrincipalSigner(private_key), private_key
    except TenantsUnusableError as error:
        raise StartupError(f"TIERMESH_GATEWAY_TENANTS:\n{error}") from error
    except (OSError, ValueError) as error:
        raise StartupError(
            f"TIERMESH_GATEWAY_PRINCIPAL_KEY: {settings.principal_key}: {error}; name a PEM file with an Ed25519 key"
        ) from error


@asynccontextmanager
async def _chores(
    settings: GatewaySettings, tenants: TenantBook, store: Store, admission: Admission, follower: PolicyFollower
) -> AsyncIterator[None]:
    """What goes on beside the questions: files that changed, conversations that expired, the measure of the load."""
    stop = asyncio.Event()

    async def forget() -> None:
        while not stop.is_set():
            try:
                await store.forget_expired()
            except StoreUnavailable as error:
                structlog.get_logger().warning("store_unavailable", problem=str(error))
            try:
                async with asyncio.timeout(_FORGET_EVERY_SECONDS):
                    await stop.wait()
            except TimeoutError:
                continue

    async with asyncio.TaskGroup() as group:
        group.create_task(tenants.watch(settings.reload_seconds, stop))
        group.create_task(forget())
        endless = [group.create_task(admission.watch_lag()), group.create_task(follower.follow())]
        try:
            yield
        finally:
            stop.set()
            for task in endless:
                task.cancel()
