"""An OTLP/gRPC receiver that takes what comes and keeps nothing: `python -m bench.otlp_receiver` prints its address."""

from __future__ import annotations

import asyncio
import signal

import grpc
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse


class _Handlers(grpc.GenericRpcHandler):
    """Takes every export as bytes: reading it would cost the machine what a collector elsewhere would do."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        traces = "TraceService" in handler_call_details.method
        reply = (ExportTraceServiceResponse if traces else ExportMetricsServiceResponse)().SerializeToString()

        async def take(_request: bytes, _context: object) -> bytes:
            return reply

        return grpc.unary_unary_rpc_method_handler(take)


async def main() -> None:
    """Serve until SIGTERM."""
    server = grpc.aio.server(handlers=[_Handlers()])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"127.0.0.1:{port}", flush=True)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()
    await server.stop(0)


if __name__ == "__main__":
    asyncio.run(main())
