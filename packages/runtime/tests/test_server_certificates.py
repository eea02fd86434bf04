"""A service with a certificate: who gets in over TLS, and where probes go."""

from __future__ import annotations

import datetime
import socket
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tiermesh_runtime import channels, server
from tiermesh_runtime.settings import ServiceSettings

from .toy_calls import SERVING
from .toy_service import SERVICE

DAY = datetime.timedelta(days=1)


def certified(folder: Path) -> dict[str, Path]:
    """Write a certificate for localhost that is its own CA; return the settings that name it and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + DAY)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    (folder / "cert.pem").write_bytes(certificate)
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return {"tls_certificate": folder / "cert.pem", "tls_key": folder / "key.pem"}


async def test_with_a_certificate_only_tls_is_served(parts: Any, toy: Any, tmp_path: Path) -> None:
    settings = ServiceSettings(host="localhost", port=0, **certified(tmp_path))
    async with server.serving(parts(), settings) as running:
        credentials = ServiceSettings(port=0, peer_ca=tmp_path / "cert.pem").channel_credentials()
        async with channels.open_channel(running.address, credentials=credentials) as channel:
            assert await toy(running.address, channel).ask("unary_unary") == ["r-1"]
        async with channels.open_channel(running.address) as plain:
            error = await toy(running.address, plain).refusal("unary_unary", timeout=5)
        assert error.code() is grpc.StatusCode.UNAVAILABLE


async def test_with_a_client_ca_only_callers_with_a_certificate_get_in(parts: Any, toy: Any, tmp_path: Path) -> None:
    own = certified(tmp_path)
    ca = tmp_path / "cert.pem"
    settings = ServiceSettings(host="localhost", port=0, tls_client_ca=ca, peer_ca=ca, **own)
    async with server.serving(parts(), settings) as running:
        async with channels.open_channel(running.address, credentials=settings.channel_credentials()) as channel:
            assert await toy(running.address, channel).ask("unary_unary") == ["r-1"]
        nobody = ServiceSettings(port=0, peer_ca=ca).channel_credentials()
        async with channels.open_channel(running.address, credentials=nobody) as channel:
            error = await toy(running.address, channel).refusal("unary_unary", timeout=5)
        assert error.code() is grpc.StatusCode.UNAVAILABLE


async def test_probes_without_a_certificate_have_a_port_that_serves_health_alone(
    parts: Any, toy: Any, tmp_path: Path
) -> None:
    ca = tmp_path / "cert.pem"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        free_port = free.getsockname()[1]
    settings = ServiceSettings(host="localhost", port=0, health_port=free_port, tls_client_ca=ca, **certified(tmp_path))
    async with server.serving(parts(), settings), grpc.aio.insecure_channel(f"localhost:{free_port}") as plain:
        probe = health_pb2_grpc.HealthStub(plain)
        named = health_pb2.HealthCheckRequest(service=SERVICE)
        assert (await probe.Check(named, timeout=10)).status == SERVING
        error = await toy("", plain).refusal("unary_unary", timeout=10)
        assert error.code() is grpc.StatusCode.UNIMPLEMENTED


def test_without_a_ca_channels_are_plaintext() -> None:
    assert ServiceSettings(port=0).channel_credentials() is None
