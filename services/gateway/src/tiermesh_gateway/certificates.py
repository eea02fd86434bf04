"""Callers known by the certificate of their connection: a file says whom each identity asks as.

TLS itself (which CA, that the other side holds the key) is the server's; here a verified certificate becomes a caller.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from cryptography import x509
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from tiermesh_policy.schema import problems_of
from tiermesh_runtime.reloading import Reloaded

from tiermesh_gateway.errors import IdentityError
from tiermesh_gateway.question import Caller

_KNOWN_CERTIFICATES = 1024
_SERVICE_PREFIX = "service:"


class CallersUnusableError(Exception):
    """A file of callers that cannot be used; the message lists every problem."""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    # A URI as it stands in the certificate (spiffe://…), or dns:… or email:….
    identity: Annotated[
        str, Field(pattern=r"^(?:[a-z][a-z0-9+.-]*://\S{1,512}|dns:[A-Za-z0-9.-]{1,253}|email:\S{3,254})$")
    ]
    tenant: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    kind: Literal["person", "service"]
    subject: Annotated[str, Field(pattern=r"^[A-Za-z0-9._@-]{1,119}$")]
    roles: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=64)], ...], Field(max_length=32)] = ()

    def caller(self) -> Caller:
        """A service is nobody's colleague: its subject can be no person's."""
        prefix = _SERVICE_PREFIX if self.kind == "service" else ""
        return Caller(self.tenant, prefix + self.subject, frozenset(self.roles))


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    callers: Annotated[tuple[_Entry, ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class _Certificate:
    identities: frozenset[str]
    not_before: float
    not_after: float


class CertificateCallers:
    """The callers of a file; read again when it changes, the last good ones kept."""

    def __init__(self, path: Path, *, look_every: float = 2.0) -> None:
        """CallersUnusableError when the file cannot be used: a start-up error."""
        self._file = Reloaded(
            path, read_callers, unusable=CallersUnusableError, name="certificate_callers", look_every=look_every
        )
        self._read: OrderedDict[bytes, _Certificate] = OrderedDict()

    def caller(self, pem: bytes) -> Caller:
        """The caller that a connection's certificate stands for; IdentityError when it is nobody.

        A connection outlives its handshake: the times of the certificate are looked at with each call.
        """
        self._file.look()
        certificate = self._certificate(pem)
        if not certificate.not_before <= time.time() <= certificate.not_after:
            raise IdentityError(
                "expired", "The client certificate has expired, or is not valid yet; connect with a new one."
            )
        callers = self._file.value
        found = {callers[each] for each in certificate.identities if each in callers}
        if not found:
            raise IdentityError(
                "invalid", "The client certificate verifies, but none of its identities is a known caller."
            )
        if len(found) > 1:
            raise IdentityError("invalid", "The identities of the client certificate stand for different callers.")
        return found.pop()

    def _certificate(self, pem: bytes) -> _Certificate:
        known = self._read.get(pem)
        if known is None:
            try:
                known = _read_certificate(pem)
            except ValueError:
                raise IdentityError("invalid", "The client certificate cannot be read.") from None
            self._read[pem] = known
            if len(self._read) > _KNOWN_CERTIFICATES:
                self._read.popitem(last=False)
        return known


def read_callers(path: Path) -> Mapping[str, Caller]:
    """Callers by identity; CallersUnusableError with everything that is wrong with the file."""
    try:
        data: Any = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise CallersUnusableError(f"{path}: cannot be read ({type(error).__name__})") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # ValueError: a day that no calendar has, or a number of thousands of digits.
        raise CallersUnusableError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    try:
        entries = _File.model_validate(data).callers
    except ValidationError as error:
        problems = "\n".join(f"{path}: {each.field}: {each.description}" for each in problems_of(error))
        raise CallersUnusableError(problems) from None
    named = [_comparable(entry.identity) for entry in entries]
    twice = sorted({identity for identity in named if named.count(identity) > 1})
    if twice:
        raise CallersUnusableError("\n".join(f"{path}: {each} stands there more than once; keep one" for each in twice))
    return {identity: entry.caller() for identity, entry in zip(named, entries, strict=True)}


def _read_certificate(pem: bytes) -> _Certificate:
    certificate = x509.load_pem_x509_certificate(pem)
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names = x509.SubjectAlternativeName([])
    return _Certificate(
        frozenset(_comparable(identity) for identity in _identities(names)),
        certificate.not_valid_before_utc.timestamp(),
        certificate.not_valid_after_utc.timestamp(),
    )


def _identities(names: x509.SubjectAlternativeName) -> Iterable[str]:
    yield from names.get_values_for_type(x509.UniformResourceIdentifier)
    yield from (f"dns:{name}" for name in names.get_values_for_type(x509.DNSName))
    yield from (f"email:{name}" for name in names.get_values_for_type(x509.RFC822Name))


def _comparable(identity: str) -> str:
    """Names of hosts are the same in any case; paths of a URI are not."""
    return identity.casefold() if identity.startswith("dns:") else identity
