"""Callers known by their client certificate, over real TLS."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import ValidationError
from tiermesh.gateway.v1 import gateway_service_pb2 as pb
from tiermesh.gateway.v1 import gateway_service_pb2_grpc as rpc
from tiermesh_gateway.certificates import CallersUnusableError, CertificateCallers, read_callers
from tiermesh_gateway.errors import IdentityError
from tiermesh_gateway.question import Caller
from tiermesh_gateway.settings import GatewaySettings
from tiermesh_runtime.errors import from_call

DAY = datetime.timedelta(days=1)
PORTAL = "spiffe://acme.example/ns/portal/sa/web"
ANNA = "anna@acme.example"
CALLERS = f"""
callers:
  - {{identity: "{PORTAL}", tenant: acme, kind: service, subject: portal, roles: [employee]}}
  - {{identity: "email:{ANNA}", tenant: acme, kind: person, subject: E00042, roles: [employee, manager]}}
  - {{identity: "dns:Jobs.Acme.Example", tenant: acme, kind: service, subject: jobs}}
  - {{identity: "dns:elsewhere.example", tenant: globex, kind: service, subject: portal}}
"""


@dataclass(frozen=True)
class Authority:
    """A certificate authority."""

    key: ec.EllipticCurvePrivateKey
    name: x509.Name

    @classmethod
    def new(cls, name: str) -> Authority:
        return cls(ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))

    def certificate(self) -> bytes:
        return self._signed(self.name, self.key.public_key(), [], ca=True)

    def issue(self, *names: x509.GeneralName, age: datetime.timedelta = DAY / 24) -> tuple[bytes, bytes]:
        """Return key and certificate, good for a day from `age` ago."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a caller")])
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return pem, self._signed(subject, key.public_key(), names, age=age)

    def _signed(
        self, subject: x509.Name, key: Any, names: Any, *, ca: bool = False, age: datetime.timedelta = DAY / 24
    ) -> bytes:
        begins = datetime.datetime.now(datetime.UTC) - age
        builder = x509.CertificateBuilder(self.name, subject, key, x509.random_serial_number(), begins, begins + DAY)
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def authority() -> Authority:
    return Authority.new("the company's")


@dataclass
class Secured:
    """A gateway that asks for certificates."""

    suite: Any
    ca: bytes

    async def who(self, key: bytes | None, certificate: bytes | None, **metadata: str) -> pb.IssuePrincipalResponse:
        credentials = grpc.ssl_channel_credentials(self.ca, key, certificate)
        async with grpc.aio.secure_channel(self.suite.address, credentials) as channel:
            stub = rpc.GatewayServiceStub(channel)
            return await stub.IssuePrincipal(pb.IssuePrincipalRequest(), metadata=tuple(metadata.items()), timeout=10)

    async def refusal(self, key: bytes | None, certificate: bytes | None, **metadata: str) -> Any:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.who(key, certificate, **metadata)
        return from_call(caught.value)


@pytest.fixture
async def secured(start_suite: Any, tmp_path: Path, authority: Authority) -> Secured:
    key, certificate = authority.issue(x509.DNSName("localhost"))
    files = {
        "ca.pem": authority.certificate(),
        "key.pem": key,
        "cert.pem": certificate,
        "callers.yaml": CALLERS.encode(),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    suite = await start_suite(
        host="localhost",
        tls_certificate=tmp_path / "cert.pem",
        tls_key=tmp_path / "key.pem",
        tls_client_ca=tmp_path / "ca.pem",
        certificate_callers=tmp_path / "callers.yaml",
    )
    return Secured(suite, files["ca.pem"])


async def test_a_certificate_s_identity_is_the_caller(secured: Secured, authority: Authority) -> None:
    portal = await secured.who(*authority.issue(x509.UniformResourceIdentifier(PORTAL)))
    assert (portal.tenant, portal.subject, list(portal.roles)) == ("acme", "service:portal", ["employee"])
    anna = await secured.who(*authority.issue(x509.RFC822Name(ANNA), x509.DNSName("laptop.acme.example")))
    assert (anna.subject, list(anna.roles)) == ("E00042", ["employee", "manager"])
    jobs = await secured.who(*authority.issue(x509.DNSName("jobs.acme.example")))
    assert (jobs.subject, list(jobs.roles)) == ("service:jobs", [])


async def test_a_question_is_answered_with_the_principal_of_the_certificate(
    secured: Secured, authority: Authority
) -> None:
    key, certificate = authority.issue(x509.UniformResourceIdentifier(PORTAL))
    credentials = grpc.ssl_channel_credentials(secured.ca, key, certificate)
    async with grpc.aio.secure_channel(secured.suite.address, credentials) as channel:
        call = rpc.GatewayServiceStub(channel).Ask(pb.AskRequest(text="How many days?", no_pills=True), timeout=20)
        events = [event async for event in call]
    assert events[-1].receipt.complete
    (principal,) = secured.suite.tier1.principals
    assert (principal.tenant, principal.subject) == ("acme", "service:portal")


async def test_a_token_says_for_whom_a_service_with_a_certificate_calls(secured: Secured, authority: Authority) -> None:
    portal = authority.issue(x509.UniformResourceIdentifier(PORTAL))
    token = secured.suite.token("E00007")
    assert (await secured.who(*portal, authorization=f"Bearer {token}")).subject == "E00007"
    # A bad token is refused, and not made good by the certificate.
    refused = await secured.refusal(*portal, authorization="Bearer nonsense")
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([x509.UniformResourceIdentifier("spiffe://acme.example/ns/other/sa/web")], "none of its identities"),
        ([x509.UniformResourceIdentifier(PORTAL.upper())], "none of its identities"),
        # What stands for a URI is no host of that name.
        ([x509.DNSName("anna.acme.example")], "none of its identities"),
        ([], "none of its identities"),
        ([x509.UniformResourceIdentifier(PORTAL), x509.RFC822Name(ANNA)], "different callers"),
    ],
)
async def test_a_certificate_that_stands_for_nobody_or_for_two_is_refused_with_the_reason(
    secured: Secured, authority: Authority, names: list[x509.GeneralName], words: str
) -> None:
    refused = await secured.refusal(*authority.issue(*names))
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID")
    assert words in refused.message


async def test_a_tenant_without_a_policy_is_refused_for_certificates_too(
    secured: Secured, authority: Authority
) -> None:
    refused = await secured.refusal(*authority.issue(x509.DNSName("elsewhere.example")))
    assert refused.reason == "UNKNOWN_TENANT"


@pytest.mark.parametrize("kind", ["another authority", "expired", "none", "key of another"])
async def test_what_tls_does_not_verify_does_not_get_as_far_as_an_identity(
    secured: Secured, authority: Authority, kind: str
) -> None:
    portal = x509.UniformResourceIdentifier(PORTAL)
    shown: tuple[bytes | None, bytes | None] = {
        "another authority": Authority.new("the company's").issue(portal),
        "expired": authority.issue(portal, age=2 * DAY),
        "none": (None, None),
        "key of another": (authority.issue(portal)[0], authority.issue(portal)[1]),
    }[kind]
    assert (await secured.refusal(*shown)).code is grpc.StatusCode.UNAVAILABLE
    assert not secured.suite.tier1.requests


def test_a_changed_file_is_taken_and_a_broken_one_leaves_the_last_good_callers(
    tmp_path: Path, authority: Authority
) -> None:
    file = tmp_path / "callers.yaml"
    file.write_text(CALLERS)
    callers = CertificateCallers(file, look_every=0.0)
    _, portal = authority.issue(x509.UniformResourceIdentifier(PORTAL))
    for text, subject in (
        ("callers: [{identity: nonsense}]", "service:portal"),
        (CALLERS.replace("subject: portal", "subject: front-door"), "service:front-door"),
        (None, "service:front-door"),
    ):
        file.unlink() if text is None else file.write_text(text)
        assert callers.caller(portal).subject == subject


def test_a_certificate_that_expires_while_its_connection_lives_is_refused(tmp_path: Path, authority: Authority) -> None:
    (tmp_path / "callers.yaml").write_text(CALLERS)
    callers = CertificateCallers(tmp_path / "callers.yaml")
    portal = x509.UniformResourceIdentifier(PORTAL)
    assert callers.caller(authority.issue(portal)[1]) == Caller("acme", "service:portal", frozenset({"employee"}))
    for age in (2 * DAY, -DAY):
        with pytest.raises(IdentityError) as caught:
            callers.caller(authority.issue(portal, age=age)[1])
        assert caught.value.kind == "expired"
    with pytest.raises(IdentityError) as caught:
        callers.caller(b"nonsense")
    assert caught.value.kind == "invalid"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("callers: []", "callers"),
        ("[1, 2", "not valid YAML"),
        ("callers: 2024-13-45", "not valid YAML"),
        ("[" * 3000, "not valid YAML"),
        ("callers: [{identity: portal, tenant: acme, kind: service, subject: x}]", "callers.0.identity"),
        ("callers: [{identity: 'dns:x', tenant: Acme Inc, kind: robot, subject: 'service:x'}]", "callers.0.tenant"),
        ("callers: [{identity: 'dns:x', tenant: Acme Inc, kind: robot, subject: 'service:x'}]", "callers.0.kind"),
        ("callers: [{identity: 'dns:x', tenant: a, kind: person, subject: 'service:x'}]", "callers.0.subject"),
        (CALLERS + f'  - {{identity: "{PORTAL}", tenant: acme, kind: person, subject: x}}', "more than once"),
    ],
)
def test_a_file_of_callers_is_refused_with_its_problems(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "callers.yaml").write_text(text)
    with pytest.raises(CallersUnusableError, match=r"callers\.yaml") as caught:
        read_callers(tmp_path / "callers.yaml")
    assert words in str(caught.value)


def test_callers_by_certificate_without_asking_for_one_is_a_setting_that_is_refused(suite: Any, tmp_path: Path) -> None:
    (tmp_path / "callers.yaml").write_text(CALLERS)
    values = suite.settings.model_dump() | {"certificate_callers": tmp_path / "callers.yaml"}
    with pytest.raises(ValidationError, match="TLS_CLIENT_CA"):
        GatewaySettings(**values)
