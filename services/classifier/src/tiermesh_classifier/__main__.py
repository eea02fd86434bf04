"""Starts the classifier: settings, pack and artefact, servicer, serve."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TypeVar

from tiermesh.classifier.v1.classifier_service_pb2_grpc import add_ClassifierServiceServicer_to_server
from tiermesh.common.v1.context_pb2 import RequestContext
from tiermesh.executor.v1.executor_service_pb2_grpc import ExecutorServiceStub
from tiermesh_pack import Pack, PackError, load_pack
from tiermesh_runtime.channels import open_channel
from tiermesh_runtime.server import Registration, ServiceParts, run
from tiermesh_runtime.settings import load_settings
from tiermesh_runtime.startup import StartupError

from tiermesh_classifier.artefact_files import ArtefactError
from tiermesh_classifier.assembly import assemble_scorer
from tiermesh_classifier.classifier import Scorer, UncertainStage
from tiermesh_classifier.language_model.breaker import CircuitBreaker
from tiermesh_classifier.language_model.executor import ExecutorModel
from tiermesh_classifier.language_model.prompt import make_prompt
from tiermesh_classifier.language_model.stage import LanguageModelStage, Limits, OneCall
from tiermesh_classifier.live import Live, Reloader
from tiermesh_classifier.servicer import ClassifierServicer, StageForCall
from tiermesh_classifier.settings import ClassifierSettings
from tiermesh_classifier.telemetry import DriftMetrics, ModelStageMetrics
from tiermesh_classifier.tiers import artefact as tiers_artefact
from tiermesh_classifier.vocabulary import PackWords

# Of a call's time, what its answer needs to travel back.
_RESERVE_SECONDS = 0.03
Loaded = TypeVar("Loaded")


@asynccontextmanager
async def build(settings: ClassifierSettings) -> AsyncIterator[ServiceParts]:
    """Loads pack and artefacts and gives the service's parts; ends the watching and the thread after the drain."""
    pack = _pack(settings)
    metrics = DriftMetrics()
    async with AsyncExitStack() as stack:
        executor = stack.enter_context(ThreadPoolExecutor(max_workers=1, thread_name_prefix="classify"))
        live = _live(settings, pack, metrics, stack)
        words = live.current.words
        stage = _language_model(settings, pack, words)
        servicer = ClassifierServicer(
            live,
            executor,
            inline_characters=settings.inline_characters,
            fiscal_start_month=settings.fiscal_year_start or words.fiscal_start_month,
            uncertain=None if stage is None else await _for_calls(stage, settings, stack),
            language_model_version="" if stage is None else stage.prompt.version,
            language_model_seconds=settings.model_seconds + _RESERVE_SECONDS,
            shadow_share=settings.shadow_share,
            remembered_candidates=settings.remembered_candidates,
            metrics=metrics,
        )
        yield ServiceParts(
            name="classifier",
            registrations=[
                Registration(
                    add=add_ClassifierServiceServicer_to_server,
                    servicer=servicer,
                    full_name="tiermesh.classifier.v1.ClassifierService",
                )
            ],
            audience="classifier",
        )


def _pack(settings: ClassifierSettings) -> Pack:
    try:
        return load_pack(settings.pack)
    except PackError as error:
        raise StartupError(f"TIERMESH_CLASSIFIER_PACK: cannot load {settings.pack}: {error}") from error


def _live(settings: ClassifierSettings, pack: Pack, metrics: DriftMetrics, stack: AsyncExitStack) -> Live:
    """What is in force and what runs in the shadow, both watched."""

    def load(folder: Path) -> Scorer:
        return assemble_scorer(
            pack,
            folder,
            settings.tier_artefact,
            tiers_decide=settings.tiers_decide,
            remembered_candidates=settings.remembered_candidates,
        )

    def watching(folder: Path, load: Callable[[Path], Scorer], role: str) -> Reloader:
        return Reloader(folder, load, lambda swapped: metrics.artefact_loaded(role, swapped=swapped))

    def keep_looking(reloader: Reloader, put: Callable[[Scorer], None]) -> None:
        if settings.reload_seconds:
            stack.callback(asyncio.create_task(reloader.watch(settings.reload_seconds, put)).cancel)

    _check_tiers(settings, pack)
    current = watching(settings.artefact, load, "current")
    live = Live(_first(settings.artefact, load, "ARTEFACT"))
    keep_looking(current, live.put_current)
    if settings.tier_artefact is not None:
        keep_looking(watching(settings.tier_artefact, lambda _: load(settings.artefact), "tiers"), live.put_current)
    if settings.shadow_artefact is not None:
        shadow = watching(settings.shadow_artefact, load, "shadow")
        live.put_shadow(_first(settings.shadow_artefact, load, "SHADOW_ARTEFACT"))
        keep_looking(shadow, live.put_shadow)
    return live


def _check_tiers(settings: ClassifierSettings, pack: Pack) -> None:
    """A pack without intents needs the least-tier model, and a model that is named must be one for this pack."""
    if settings.tier_artefact is not None:
        _first(settings.tier_artefact, lambda folder: tiers_artefact.load(folder, pack.name), "TIER_ARTEFACT")
    elif not pack.vocabulary.intents:
        raise StartupError(
            f"TIERMESH_CLASSIFIER_TIER_ARTEFACT: the pack {pack.identity} has no intents, so the least-tier "
            "model must say which tier suffices; name its folder (tiermesh_classifier.train_tiers writes one)"
        )


def _first(folder: Path, load: Callable[[Path], Loaded], setting: str) -> Loaded:
    try:
        return load(folder)
    except ArtefactError as error:
        raise StartupError(f"TIERMESH_CLASSIFIER_{setting}: {error}") from error


def _language_model(settings: ClassifierSettings, pack: Pack, words: PackWords) -> LanguageModelStage | None:
    """The language-model stage; none when no executor is named, or no intent that it could choose among."""
    if settings.executor_address is None or not pack.vocabulary.intents:
        return None
    return LanguageModelStage(
        make_prompt(words, pack.vocabulary.examples),
        CircuitBreaker(settings.model_failures, settings.model_pause_seconds),
        Limits(settings.model_seconds, settings.model_least_seconds, _RESERVE_SECONDS, settings.model_in_flight),
        ModelStageMetrics().observe,
    )


async def _for_calls(stage: LanguageModelStage, settings: ClassifierSettings, stack: AsyncExitStack) -> StageForCall:
    """What makes the stage for one call: it goes out under that call's principal."""
    channel = open_channel(str(settings.executor_address), credentials=settings.channel_credentials())
    stub = ExecutorServiceStub(await stack.enter_async_context(channel))

    def for_call(context: RequestContext) -> UncertainStage:
        return OneCall(stage, ExecutorModel(stub, context, settings.model_max_cost_micros))

    return for_call


if __name__ == "__main__":
    sys.exit(run(load_settings(ClassifierSettings), build))
