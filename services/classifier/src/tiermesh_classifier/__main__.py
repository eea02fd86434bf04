"""Starts the classifier: settings, pack and artefact, servicer, serve."""

import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from tiermesh.classifier.v1.classifier_service_pb2_grpc import add_ClassifierServiceServicer_to_server
from tiermesh_pack import PackError, load_pack
from tiermesh_runtime.server import Registration, ServiceParts, run
from tiermesh_runtime.settings import load_settings
from tiermesh_runtime.startup import StartupError

from tiermesh_classifier.artefact import ArtefactError
from tiermesh_classifier.assembly import assemble
from tiermesh_classifier.classifier import Classifier
from tiermesh_classifier.servicer import ClassifierServicer
from tiermesh_classifier.settings import ClassifierSettings


@asynccontextmanager
async def build(settings: ClassifierSettings) -> AsyncIterator[ServiceParts]:
    """Loads pack and artefact and gives the service's parts; ends the thread after the drain."""
    classifier = _classifier(settings)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="classify") as executor:
        servicer = ClassifierServicer(
            classifier,
            executor,
            inline_characters=settings.inline_characters,
            fiscal_start_month=settings.fiscal_year_start or classifier.words.fiscal_start_month,
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


def _classifier(settings: ClassifierSettings) -> Classifier:
    try:
        return assemble(load_pack(settings.pack), settings.artefact)
    except PackError as error:
        raise StartupError(f"TIERMESH_CLASSIFIER_PACK: cannot load {settings.pack}: {error}") from error
    except ArtefactError as error:
        raise StartupError(f"TIERMESH_CLASSIFIER_ARTEFACT: {error}") from error


if __name__ == "__main__":
    sys.exit(run(load_settings(ClassifierSettings), build))
