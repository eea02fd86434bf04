"""Starts the classifier: settings, pack and artefact, servicer, serve."""

import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager

from tiermesh.classifier.v1.classifier_service_pb2_grpc import add_ClassifierServiceServicer_to_server
from tiermesh.common.v1.context_pb2 import RequestContext
from tiermesh.executor.v1.executor_service_pb2_grpc import ExecutorServiceStub
from tiermesh_pack import Pack, PackError, load_pack
from tiermesh_runtime.channels import open_channel
from tiermesh_runtime.server import Registration, ServiceParts, run
from tiermesh_runtime.settings import load_settings
from tiermesh_runtime.startup import StartupError

from tiermesh_classifier.artefact import ArtefactError
from tiermesh_classifier.assembly import assemble
from tiermesh_classifier.classifier import Classifier, UncertainStage
from tiermesh_classifier.language_model.breaker import CircuitBreaker
from tiermesh_classifier.language_model.executor import ExecutorModel
from tiermesh_classifier.language_model.prompt import make_prompt
from tiermesh_classifier.language_model.stage import LanguageModelStage, Limits, OneCall
from tiermesh_classifier.servicer import ClassifierServicer, StageForCall
from tiermesh_classifier.settings import ClassifierSettings
from tiermesh_classifier.telemetry import ModelStageMetrics

# Of a call's time, what its answer needs to travel back.
_RESERVE_SECONDS = 0.03


@asynccontextmanager
async def build(settings: ClassifierSettings) -> AsyncIterator[ServiceParts]:
    """Loads pack and artefact and gives the service's parts; ends the thread after the drain."""
    pack = _pack(settings)
    classifier = _classifier(settings, pack)
    async with AsyncExitStack() as stack:
        executor = stack.enter_context(ThreadPoolExecutor(max_workers=1, thread_name_prefix="classify"))
        servicer = ClassifierServicer(
            classifier,
            executor,
            inline_characters=settings.inline_characters,
            fiscal_start_month=settings.fiscal_year_start or classifier.words.fiscal_start_month,
            uncertain=await _language_model(settings, pack, classifier, stack),
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


def _classifier(settings: ClassifierSettings, pack: Pack) -> Classifier:
    try:
        return assemble(pack, settings.artefact)
    except ArtefactError as error:
        raise StartupError(f"TIERMESH_CLASSIFIER_ARTEFACT: {error}") from error


async def _language_model(
    settings: ClassifierSettings, pack: Pack, classifier: Classifier, stack: AsyncExitStack
) -> StageForCall | None:
    """The language-model stage; none when no executor is named."""
    if settings.executor_address is None:
        return None
    stub = ExecutorServiceStub(await stack.enter_async_context(open_channel(settings.executor_address)))
    stage = LanguageModelStage(
        make_prompt(classifier.words, pack.vocabulary.examples),
        CircuitBreaker(settings.model_failures, settings.model_pause_seconds),
        Limits(settings.model_seconds, settings.model_least_seconds, _RESERVE_SECONDS, settings.model_in_flight),
        ModelStageMetrics().observe,
    )

    def for_call(context: RequestContext) -> UncertainStage:
        return OneCall(stage, ExecutorModel(stub, context, settings.model_max_cost_micros))

    return for_call


if __name__ == "__main__":
    sys.exit(run(load_settings(ClassifierSettings), build))
