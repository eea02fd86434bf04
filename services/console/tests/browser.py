"""A browser without a screen: it keeps cookies and sends forms as pages do."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientResponse, ClientSession

CSRF = re.compile(r'<meta name="csrf" content="([0-9a-f]{64})">')


@dataclass
class Browser:
    """One browser: keeps cookies, reads the token against forged requests off the pages."""

    session: ClientSession
    root: str
    csrf: str = ""

    async def get(self, path: str, **options: Any) -> tuple[ClientResponse, str]:
        async with self.session.get(self.root + path, **options) as response:
            text = await response.text()
        found = CSRF.search(text)
        self.csrf = found[1] if found else self.csrf
        return response, text

    async def post(self, path: str, fields: Mapping[str, str] = {}, **options: Any) -> tuple[ClientResponse, str]:
        data = {"csrf": self.csrf, **fields}
        async with self.session.post(self.root + path, data=data, **options) as response:
            text = await response.text()
        found = CSRF.search(text)
        self.csrf = found[1] if found else self.csrf
        return response, text

    async def script(self, path: str, values: object, **headers: str) -> tuple[ClientResponse, list[Any]]:
        """Post as a page's script does; the answer's lines of JSON."""
        async with self.session.post(
            self.root + path, json=values, headers={"X-CSRF-Token": self.csrf, **headers}
        ) as response:
            text = await response.text()
        return response, [json.loads(line) for line in text.splitlines()]

    async def sign_in(self, token: str) -> None:
        await self.get("/sign-in")
        response, _ = await self.post("/sign-in", {"token": token}, allow_redirects=False)
        assert response.status == 303, response.status
        await self.get("/ask")
