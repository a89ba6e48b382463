"""The certificates of our own."""

import ssl
from pathlib import Path

import pytest

from devenv import tls


def _handshake(pair: tls.Pair, authority: Path, hostname: str) -> None:
    """A whole TLS handshake in memory."""
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(pair.certificate, pair.key)
    client_context = ssl.create_default_context(cafile=str(authority))
    # As strict as Python 3.13 is by default.
    client_context.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    client = client_context.wrap_bio(to_client, to_server, server_hostname=hostname)
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert client.version() == "TLSv1.3"


@pytest.mark.parametrize("hostname", ["localhost", "127.0.0.1"])
def test_a_client_that_trusts_the_authority_gets_through(tmp_path: Path, hostname: str) -> None:
    pair = tls.ensure(tmp_path)

    _handshake(pair, pair.authority, hostname)


def test_another_name_is_refused(tmp_path: Path) -> None:
    pair = tls.ensure(tmp_path)

    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        _handshake(pair, pair.authority, "school.example")


def test_another_authority_is_refused(tmp_path: Path) -> None:
    pair, other = tls.ensure(tmp_path / "one"), tls.ensure(tmp_path / "two")

    with pytest.raises(ssl.SSLCertVerificationError):
        _handshake(pair, other.authority, "localhost")


def test_the_pair_is_kept_and_the_key_is_the_owners_only(tmp_path: Path) -> None:
    pair = tls.ensure(tmp_path)
    before = pair.certificate.read_bytes()

    assert tls.ensure(tmp_path).certificate.read_bytes() == before
    assert pair.key.stat().st_mode & 0o777 == 0o600


def test_a_pair_that_does_not_fit_together_is_made_anew(tmp_path: Path) -> None:
    pair, other = tls.ensure(tmp_path / "one"), tls.ensure(tmp_path / "two")
    pair.certificate.write_bytes(other.certificate.read_bytes())

    _handshake(tls.ensure(tmp_path / "one"), pair.authority, "localhost")


def test_a_pair_for_the_machines_own_address_is_for_loopback_too(tmp_path: Path) -> None:
    pair = tls.ensure(tmp_path, address="192.168.0.17")

    for hostname in ("192.168.0.17", "localhost"):
        _handshake(pair, pair.authority, hostname)
