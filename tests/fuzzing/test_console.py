"""The console under generated requests over HTTP: queries, forms, bodies, cookies and headers, of the signed in too.

Allowed is a page, a way elsewhere, or a refusal; not a 500, nor a word of the inside.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import aiohttp
import pytest
from tiermesh_cli.keys import sign_in_token
from yarl import URL

from tests.fuzzing.messages import HOSTILE_TEXTS

SECONDS = float(os.environ.get("TIERMESH_FUZZ_SECONDS", "15"))
SEED = int(os.environ.get("TIERMESH_FUZZ_SEED", str(int(time.time()))))
_AT_ONCE = 6
# Path → the names that it reads from an address, a form or a body.
_READ: Mapping[str, tuple[str, ...]] = {
    "/ask": (),
    "/receipts": ("id",),
    "/receipts/r-1": ("threshold", "settings"),
    "/thresholds": ("days", "family", "weight", "loss", "alpha", "done"),
    "/routing": ("days", "family"),
    "/cost": ("days", "family"),
    "/quality": ("days", "family"),
    "/quality/compare": (),
    "/sign-in": ("back",),
}
_CHANGED: Mapping[str, tuple[str, ...]] = {
    "/ask/stream": ("text", "conversation_id", "request_id", "pill_token", "min_tier"),
    "/ask/feedback": ("request_id", "verdict", "comment", "pill_id"),
    "/ask/confirm": ("token",),
    "/thresholds/propose": ("days", "family", "weight", "loss", "alpha", "wanted"),
    "/thresholds/apply": ("proposal_id",),
    "/thresholds/undo": ("version",),
    "/quality/compare": ("preference", "comparison_id"),
    "/sign-in": ("token", "back"),
}
_PLAUSIBLE = (
    "30",
    "leave",
    "0.7",
    "1",
    "good",
    "first",
    "r-1",
    "How many leave days do I have left?",
    "//evil.example",
)
_ODD = ("²", "٣٠", "1e999", "nan", "http://[", "%ff%fe", "é", "\ud800", "{{7*7}}")
_INSIDE = re.compile(r"Traceback|File \"|\.py\b|<class '|object at 0x|KeyError|/site-packages/|templates/")
_PLAIN = re.compile(r"[A-Za-z0-9%._-]")
_CSRF = re.compile(r'<meta name="csrf" content="([0-9a-f]{64})">')


@pytest.mark.timeout(180 + 2 * SECONDS)
def test_no_request_breaks_the_console(own_suite: Any) -> None:
    statuses, broken = asyncio.run(_fuzz(own_suite))
    print(f"\nseed {SEED}: {sum(statuses.values())} requests; {dict(sorted(statuses.items()))}")
    assert not broken, f"{len(broken)} broken:\n" + "\n".join(broken[:10])
    # Were all turned away at the door, nothing behind it would have been tried.
    assert statuses[200] > sum(statuses.values()) * 0.1
    assert statuses[400] > 0
    assert statuses[403] > 0


async def _fuzz(suite: Any) -> tuple[Counter[int], list[str]]:
    root, keys = f"http://{suite.addresses['console']}", suite.state / "keys"
    roles = ["employee", "manager", "router_admin"]
    token = sign_in_token(keys, tenant="acme", subject="E00014", roles=roles, lifetime_seconds=36_000)
    statuses: Counter[int] = Counter()
    broken: list[str] = []
    until, numbers = time.monotonic() + SECONDS, iter(range(10**9))
    bearer = {"Authorization": f"Bearer {token}"}
    # Unsafe is what it calls cookies of an address without a name.
    cookies = aiohttp.CookieJar(unsafe=True)
    limits = {"max_line_size": 262_144, "max_field_size": 262_144}
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(60), cookie_jar=cookies, **limits) as session:
        page = await (await session.get(f"{root}/ask", headers=bearer)).text()
        csrf = _CSRF.findall(page)[0]

        async def worker() -> None:
            while time.monotonic() < until:
                seed = f"{SEED}-{next(numbers)}"
                chance = random.Random(seed)
                method, address, sent = _request(chance, csrf, bearer)
                async with session.request(
                    method, URL(root + address, encoded=True), allow_redirects=False, **sent
                ) as got:
                    words = await got.text(errors="replace")
                    statuses[got.status] += 1
                    found = _INSIDE.search(words)
                    if got.status == 500 or (found and got.status >= 400):
                        what = f"tells {found[0]!r}" if found else words[-200:]
                        broken.append(f"{method} {address[:200]} (seed {seed}): {got.status} {what}")

        await asyncio.gather(*(worker() for _ in range(_AT_ONCE)))
    return statuses, broken


def _request(chance: random.Random, csrf: str, bearer: Mapping[str, str]) -> tuple[str, str, dict[str, Any]]:
    changes = chance.random() < 0.5
    path, names = chance.choice(sorted((_CHANGED if changes else _READ).items()))
    values = {name: _value(chance) for name in names if chance.random() < 0.8}
    headers = dict(bearer) if chance.random() < 0.9 else {}
    for name in ("Origin", "Sec-Fetch-Site", "traceparent", "baggage", "Authorization", "X-CSRF-Token"):
        if chance.random() < 0.05:
            headers[name] = _of_a_header(_value(chance))
    if not changes:
        path = path if chance.random() < 0.9 else f"/receipts/{_escaped(_value(chance)[:200])}"
        query = "&".join(f"{name}={_escaped(value)}" for name, value in values.items())
        return "GET", f"{path}?{query}", {"headers": headers}
    given = csrf if chance.random() < 0.8 else _value(chance)
    if chance.random() < 0.3:
        kinds = (
            "application/json",
            "application/json; charset=nothing",
            "text/plain; charset=utf-16",
            "multipart/form-data",
        )
        headers |= {"X-CSRF-Token": _of_a_header(given), "Content-Type": chance.choice(kinds)}
        return "POST", path, {"headers": headers, "data": _value(chance).encode("utf-8", "surrogatepass")}
    if path.startswith("/ask/"):
        headers["X-CSRF-Token"] = _of_a_header(given)
        return "POST", path, {"headers": headers, "json": values if chance.random() < 0.9 else [values]}
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    fields = {"csrf": given, **values}
    return (
        "POST",
        path,
        {
            "headers": headers,
            "data": "&".join(f"{name}={_escaped(value)}" for name, value in fields.items()).encode(),
        },
    )


def _value(chance: random.Random) -> str:
    return chance.choice(chance.choice((_PLAUSIBLE, _PLAUSIBLE, _ODD, HOSTILE_TEXTS)))


def _of_a_header(value: str) -> str:
    """What a client library can be made to send."""
    return re.sub(r"[\0\r\n]", " ", value)[:4_000].encode("utf-8", "replace").decode("latin-1")


def _escaped(value: str) -> str:
    """Every byte but letters in percent; what looks like an escape is left, so that bad ones come, too."""
    return "".join(each if _PLAIN.fullmatch(each) else _in_percent(each) for each in value[:6_000])


def _in_percent(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))
