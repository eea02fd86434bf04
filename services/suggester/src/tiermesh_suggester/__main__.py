"""Starts the suggester: settings, pack, channels, servicer, serve."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tiermesh.classifier.v1.classifier_service_pb2_grpc import ClassifierServiceStub
from tiermesh.executor.v1.executor_service_pb2_grpc import ExecutorServiceStub
from tiermesh.suggester.v1.suggester_service_pb2_grpc import add_SuggesterServiceServicer_to_server
from tiermesh_pack import PackError, load_pack
from tiermesh_runtime.channels import open_channel
from tiermesh_runtime.server import Registration, ServiceParts, run
from tiermesh_runtime.settings import load_settings
from tiermesh_runtime.startup import StartupError

from tiermesh_suggester.servicer import Dependencies, SuggesterServicer
from tiermesh_suggester.settings import SuggesterSettings


@asynccontextmanager
async def build(settings: SuggesterSettings) -> AsyncIterator[ServiceParts]:
    """Load the pack, open the channels and give the service's parts."""
    try:
        pack = load_pack(settings.pack)
    except PackError as error:
        raise StartupError(f"TIERMESH_SUGGESTER_PACK: {error}") from error
    classify_batch = "/tiermesh.classifier.v1.ClassifierService/ClassifyBatch"
    credentials = settings.channel_credentials()
    async with (
        open_channel(settings.executor_address, credentials=credentials) as executor,
        open_channel(settings.classifier_address, idempotent=[classify_batch], credentials=credentials) as classifier,
    ):
        dependencies = Dependencies(settings, pack, ExecutorServiceStub(executor), ClassifierServiceStub(classifier))
        yield ServiceParts(
            name="suggester",
            registrations=[
                Registration(
                    add=add_SuggesterServiceServicer_to_server,
                    servicer=SuggesterServicer(dependencies),
                    full_name="tiermesh.suggester.v1.SuggesterService",
                )
            ],
            audience="suggester",
        )


if __name__ == "__main__":
    sys.exit(run(load_settings(SuggesterSettings), build))
