"""What travels from hop to hop: the request's id, the principal, what is left of the deadline."""

from __future__ import annotations

from typing import Any

from tiermesh_runtime import call_context, deadlines, principal, testing
from tiermesh_runtime.settings import ServiceSettings

from .toy_service import ROUNDED_UP


async def test_the_request_id_travels_from_hop_to_hop(serve: Any) -> None:
    async def inner(_request: Any, _context: Any) -> str:
        return call_context.request_id()

    below = await serve(inner)

    async def outer(_request: Any, _context: Any) -> str:
        return (await below.ask("unary_unary"))[0]

    top = await serve(outer)
    assert await top.ask("unary_unary", metadata=((call_context.REQUEST_ID_KEY, "q-77"),)) == ["q-77"]
    [made] = await top.ask("unary_unary")
    assert len(made) == 32
    [replaced] = await top.ask("unary_unary", metadata=((call_context.REQUEST_ID_KEY, "bad id!"),))
    assert len(replaced) == 32


async def test_the_principal_travels_from_hop_to_hop(
    serve: Any, key_settings: ServiceSettings, keys: testing.Keys
) -> None:
    async def inner(_request: Any, _context: Any) -> str:
        return principal.current().subject

    below = await serve(inner, audience="aggregator", settings=key_settings)

    async def outer(_request: Any, _context: Any) -> str:
        return (await below.ask("unary_unary"))[0]

    top = await serve(outer, audience="executor", settings=key_settings)
    assert await top.ask("unary_unary", metadata=testing.signed_metadata(keys.signer())) == ["E00001"]


async def test_what_is_left_of_the_deadline_travels_from_hop_to_hop(serve: Any) -> None:
    async def inner(_request: Any, _context: Any) -> str:
        return f"{deadlines.remaining():.3f}"

    below = await serve(inner)

    async def outer(_request: Any, _context: Any) -> str:
        shorter = (await below.ask("unary_unary", timeout=50))[0]
        inherited = (await below.ask("unary_unary"))[0]
        return f"{shorter} {inherited}"

    [both] = await (await serve(outer)).ask("unary_unary", timeout=4)
    assert all(3 < float(each) < 4 * ROUNDED_UP for each in both.split())
