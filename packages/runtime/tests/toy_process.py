"""A toy service as a process of its own; `TOY_FAIL` makes its start-up fail, `TOY_SLOW` holds it up."""

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import structlog
from pydantic_settings import SettingsConfigDict
from tiermesh.common.v1 import answer_pb2, context_pb2
from tiermesh_runtime import server
from tiermesh_runtime.settings import ServiceSettings, load_settings
from tiermesh_runtime.startup import StartupError


class ToySettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="TIERMESH_TOY_", frozen=True)
    port: int = 0


async def whoami(_request: Any, _context: Any) -> Any:
    structlog.get_logger().info("asked")
    logging.getLogger("someone.else").warning("also %s", "asked")
    return answer_pb2.TextChunk(text=str(os.getpid()))


async def busy(_request: Any, _context: Any) -> Any:
    print("busy", file=sys.stderr, flush=True)
    sys.stdin.readline()  # for as long as the test wants
    return answer_pb2.TextChunk()


async def ticks(_request: Any, _context: Any) -> Any:
    for number in range(10):
        yield answer_pb2.TextChunk(text=str(number))
        await asyncio.sleep(0.1)


def add(_servicer: object, host: Any) -> None:
    methods = {
        "whoami": grpc.unary_unary_rpc_method_handler(
            whoami, context_pb2.RequestContext.FromString, answer_pb2.TextChunk.SerializeToString
        ),
        "busy": grpc.unary_unary_rpc_method_handler(
            busy, context_pb2.RequestContext.FromString, answer_pb2.TextChunk.SerializeToString
        ),
        "ticks": grpc.unary_stream_rpc_method_handler(
            ticks, context_pb2.RequestContext.FromString, answer_pb2.TextChunk.SerializeToString
        ),
    }
    host.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("tiermesh.toy.v1.ToyService", methods),))


@asynccontextmanager
async def build(_settings: ToySettings) -> AsyncIterator[server.ServiceParts]:
    if os.environ.get("TOY_FAIL"):
        raise StartupError("packs/hr/pack.yaml: no such file; run make setup")
    if os.environ.get("TOY_SLOW"):
        print("building", file=sys.stderr, flush=True)
        await asyncio.Event().wait()
    yield server.ServiceParts("toy", [server.Registration(add, object(), "tiermesh.toy.v1.ToyService")], audience=None)
    print("parts closed", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(server.run(load_settings(ToySettings), build))
