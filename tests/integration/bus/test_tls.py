"""TLS against a real server: both connections verify authority and name, and show a certificate when one is wanted."""

from __future__ import annotations

import datetime as dt
import ipaddress
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from omega.bus import Patience, SendResult, connect
from omega.config.models import Redis
from omega.errors import ConfigError, EnvironmentFault, OmegaError
from omega.testing.bus_contract import decision, numbers, some
from omega.testing.servers import ValkeyServer, free_port

QUICK = Patience(connect_s=2.0, start_s=2.0, socket_s=2.0)


class Authority:
    """One certificate authority in a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self._signed(self.name, self.key.public_key(), None).public_bytes(_PEM))

    def issue(self, name: str, *hosts: str) -> tuple[str, str]:
        """Return the files of a certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [
            x509.IPAddress(ipaddress.ip_address(host)) if host[0].isdigit() else x509.DNSName(host) for host in hosts
        ]
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = self._signed(subject, key.public_key(), names)
        certificate, private = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        certificate.write_bytes(made.public_bytes(_PEM))
        private.write_bytes(key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        return str(certificate), str(private)

    def _signed(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, names: list[x509.GeneralName] | None
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        day = dt.timedelta(days=1)
        made = x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(key)
        made = made.serial_number(x509.random_serial_number()).not_valid_before(now - day).not_valid_after(now + day)
        made = made.add_extension(x509.BasicConstraints(ca=names is None, path_length=None), critical=True)
        if names:
            made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return made.sign(self.key, hashes.SHA256())


_PEM = serialization.Encoding.PEM


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "farm-ca")


def serving(authority: Authority, folder: Path, certificate: tuple[str, str], *, wants_client: bool) -> ValkeyServer:
    """Start a server that speaks TLS beside its plain port; skip where none was built with it."""
    binary = shutil.which("redis-server") or shutil.which("valkey-server")
    if binary is None:
        pytest.skip("no server with TLS: apt-get install redis-server (the embedded one is built without)")
    options = {
        "tls-port": str(free_port()),
        "tls-cert-file": certificate[0],
        "tls-key-file": certificate[1],
        "tls-ca-cert-file": str(authority.file),
        "tls-auth-clients": "yes" if wants_client else "no",
    }
    server = ValkeyServer(folder, free_port(), options, binary=binary)
    try:
        server.start()
    except EnvironmentFault as error:
        if "TLS" in str(error) or "tls" in str(error):
            pytest.skip(f"{binary} was built without TLS")
        raise
    return server


@pytest.fixture(scope="module")
def server(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    running = serving(
        authority, tmp_path_factory.mktemp("tls"), authority.issue("redis", "127.0.0.1", "localhost"), wants_client=True
    )
    yield running
    running.kill()


def settings(server: ValkeyServer, host: str = "127.0.0.1", **files: str) -> Redis:
    return Redis(url=f"rediss://{host}:{server.options['tls-port']}/0", connect_timeout_s=2.0, **files).complete()


@pytest.mark.req("2.27", "1.77")
async def test_both_connections_work_with_the_right_authority_and_a_client_certificate(
    server: ValkeyServer, authority: Authority
) -> None:
    certificate, key = authority.issue("runner")
    section = settings(server, tls_ca_file=str(authority.file), tls_cert_file=certificate, tls_key_file=key)
    bus = connect(section.url, env="dev", source="runner/1", patience=QUICK)
    await bus.start()
    try:
        async with bus.follow(bus.topics.decisions("xyko")) as feed:  # the own wire, twice
            assert await bus.send(decision("xyko", 1)) is SendResult.SENT
            assert numbers(await some(feed, 1)) == [1]
        assert numbers(await bus.history(bus.topics.decisions("xyko"))) == [1]  # redis-py
    finally:
        await bus.close()


@pytest.mark.req("2.27")
async def test_unknown_authority_wrong_name_and_missing_client_certificate_are_refused(
    server: ValkeyServer, authority: Authority, tmp_path: Path
) -> None:
    certificate, key = authority.issue("runner2")
    stranger = Authority(tmp_path, "stranger")
    mine = {"tls_cert_file": certificate, "tls_key_file": key}
    for section, hint in (
        (settings(server, **mine, tls_ca_file=str(stranger.file)), "tls_ca_file"),
        (settings(server, **mine), "tls_ca_file"),
        (settings(server, tls_ca_file=str(authority.file)), "rediss:"),
    ):
        with pytest.raises(OmegaError, match=hint):
            await connect(section.url, env="dev", source="runner/1", patience=QUICK).start()


@pytest.mark.req("2.27")
async def test_certificate_of_another_host_is_refused_on_both_connections(authority: Authority, tmp_path: Path) -> None:
    wrong = serving(authority, tmp_path, authority.issue("elsewhere", "redis.example"), wants_client=False)
    try:
        section = settings(wrong, tls_ca_file=str(authority.file))
        with pytest.raises(EnvironmentFault, match="name in it"):
            await connect(section.url, env="dev", source="runner/1", patience=QUICK).start()

        from omega.bus.endpoint import Endpoint, client

        pooled = client(Endpoint.parse(section.url), QUICK)
        with pytest.raises(Exception, match=r"(?i)mismatch|certificate"):
            await pooled.ping()
        await pooled.aclose()
    finally:
        wrong.kill()


def test_missing_certificate_file_is_named(tmp_path: Path) -> None:
    section = Redis(url="rediss://redis:6379/0", tls_ca_file=str(tmp_path / "none.pem")).complete()

    with pytest.raises(ConfigError, match=r"none\.pem"):
        connect(section.url, env="dev", source="runner/1")


def test_tls_files_are_left_out_where_the_url_is_not_secure() -> None:
    assert Redis(url="redis://redis:6379/0", tls_ca_file="x").complete().url == "redis://redis:6379/0"
