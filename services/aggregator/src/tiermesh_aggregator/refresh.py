"""`python -m tiermesh_aggregator.refresh`: the nightly job: has a running aggregator compute its views anew."""

import argparse
import asyncio
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path

import grpc
from tiermesh.aggregator.v1 import aggregator_service_pb2 as pb
from tiermesh.aggregator.v1 import aggregator_service_pb2_grpc as stubs
from tiermesh.common.v1 import context_pb2
from tiermesh_runtime.channels import open_channel, tls_credentials
from tiermesh_runtime.errors import from_call
from tiermesh_runtime.principal import METADATA_KEY

timeout_seconds = 3600.0


async def refresh(options: argparse.Namespace) -> int:
    """Refreshes every view that is declared, or the one that is named; 1 when one of them failed."""
    metadata = ((METADATA_KEY, options.token_file.read_text(encoding="utf-8").strip()),)
    context = context_pb2.RequestContext(
        request_id=uuid.uuid4().hex, tenant=options.tenant, pack_version=options.pack_version
    )
    failed = 0
    credentials = tls_credentials(options.tls_ca, options.tls_certificate, options.tls_key)
    async with open_channel(options.address, credentials=credentials) as channel:
        stub = stubs.AggregatorServiceStub(channel)
        try:
            listed = await stub.ListViews(pb.ListViewsRequest(context=context), metadata=metadata, timeout=30)
        except grpc.aio.AioRpcError as error:
            print(f"{options.address}: {from_call(error)}", file=sys.stderr)
            return 1
        for name in [options.view] if options.view else [view.name for view in listed.views]:
            request = pb.RefreshViewRequest(context=context, name=name)
            try:
                done = await stub.RefreshView(request, metadata=metadata, timeout=timeout_seconds)
            except grpc.aio.AioRpcError as error:
                failed += 1
                print(f"{name}: {from_call(error)}", file=sys.stderr)
                continue
            print(f"{name}: {done.view.rows} rows in {done.elapsed.ToTimedelta().total_seconds():.1f} s")
    return 1 if failed else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the job. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tiermesh_aggregator.refresh", description=__doc__)
    parser.add_argument("--address", required=True, help="host:port of the aggregator")
    parser.add_argument("--token-file", type=Path, required=True, help='service principal of purpose "refresh-views"')
    parser.add_argument("--tenant", default="acme")
    parser.add_argument("--pack-version", required=True, help="such as hr@1.0.0")
    parser.add_argument("--tls-ca", type=Path, help="PEM file of the CA of the aggregator's certificate")
    parser.add_argument("--tls-certificate", type=Path, help="PEM file of the job's own certificate")
    parser.add_argument("--tls-key", type=Path, help="PEM file of its key")
    parser.add_argument("--view", help="one view; absent refreshes all")
    options = parser.parse_args(arguments)
    try:
        return asyncio.run(refresh(options))
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
