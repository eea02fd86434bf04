"""Sign-in for development: a list of people and the key that signs for them. Absent unless started so."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jwt
from tiermesh_runtime.startup import StartupError

TOKEN_SECONDS = 8 * 3600


@dataclass(frozen=True)
class Person:
    """Somebody whom a developer can be."""

    key: str
    name: str
    tenant: str
    subject: str
    roles: tuple[str, ...]
    description: str


class DevelopmentSignIn:
    """Signs bearer tokens as the development identity provider would."""

    def __init__(self, people: Path, key: Path) -> None:
        """StartupError when a file is not what it should be."""
        try:
            values = json.loads(people.read_text("utf-8"))
            self.people: Sequence[Person] = [
                Person(
                    key=str(each["key"]),
                    name=str(each["name"]),
                    tenant=str(each["tenant"]),
                    subject=str(each["subject"]),
                    roles=tuple(map(str, each["roles"])),
                    description=str(each.get("description", "")),
                )
                for each in values["people"]
            ]
            self._issuer, self._key_id = str(values["issuer"]), str(values["key_id"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StartupError(
                f"TIERMESH_CONSOLE_DEVELOPMENT_PEOPLE: {people}: no list of people ({type(error).__name__}: {error}); "
                "`tiermesh up` writes one"
            ) from error
        self._key = key.read_bytes()

    def token(self, key: str) -> str | None:
        """Return a token for the person called `key`, None when there is nobody of that name."""
        person = next((each for each in self.people if each.key == key), None)
        if person is None:
            return None
        now = int(time.time())
        claims = {
            "iss": self._issuer,
            "aud": "tiermesh-gateway",
            "sub": person.subject,
            "tenant": person.tenant,
            "roles": list(person.roles),
            "iat": now,
            "exp": now + TOKEN_SECONDS,
        }
        return jwt.encode(claims, self._key, algorithm="EdDSA", headers={"kid": self._key_id})
