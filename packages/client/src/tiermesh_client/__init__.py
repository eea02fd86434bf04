"""The typed Python client of the gateway. `TiermeshClient` asks; `RpcError` says why it was refused."""

from tiermesh_runtime.errors import FieldViolation, RpcError

from tiermesh_client.client import TiermeshClient

__all__ = ["FieldViolation", "RpcError", "TiermeshClient"]
