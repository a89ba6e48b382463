"""TLS contexts from the configuration: towards clients, RabbitMQ, and issuers of tokens."""

from __future__ import annotations

import ssl
from pathlib import Path

from gateway.config import BrokerTls, ConfigError, Tls


def for_clients(tls: Tls) -> ssl.SSLContext:
    """A context with TLS 1.2 and newer and the listener's certificate. Raises
    :class:`ConfigError`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(context, tls.certificate, tls.key, where="server.tls")
    return context


def for_broker(tls: BrokerTls) -> ssl.SSLContext:
    """A context that always verifies RabbitMQ's certificate and host name. Raises
    :class:`ConfigError`."""
    context = _verifying(tls.ca_file, "broker.tls.ca_file")
    if (tls.client_certificate is None) != (tls.client_key is None):
        raise ConfigError("broker.tls: client_certificate and client_key must be given together")
    if tls.client_certificate is not None and tls.client_key is not None:
        _load(context, tls.client_certificate, tls.client_key, where="broker.tls")
    return context


def for_issuer(ca_file: Path | None, *, where: str) -> ssl.SSLContext:
    """A context that always verifies the certificate and host name of an issuer of tokens.
    ``where``: the key of ``ca_file``. Raises :class:`ConfigError`."""
    return _verifying(ca_file, where)


def _verifying(ca_file: Path | None, where: str) -> ssl.SSLContext:
    if ca_file is None:
        context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context
    _readable(ca_file, where)
    # Only this authority: with the system's beside it, any of those could vouch for the server.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(ca_file)
    except ssl.SSLError:
        raise ConfigError(f"{where}: {ca_file} contains no PEM certificate") from None
    return context


def _load(context: ssl.SSLContext, certificate: Path, key: Path, *, where: str) -> None:
    for path in (certificate, key):
        _readable(path, where)

    def refuse_to_ask() -> str:
        raise ConfigError(
            f"{where}: {key} is encrypted; the gateway needs a key without a password"
        )

    try:
        context.load_cert_chain(certificate, key, password=refuse_to_ask)
    except ssl.SSLError as error:
        raise ConfigError(
            f"{where}: {certificate} and {key} are not a PEM certificate and its key"
            f" ({error.reason or error})"
        ) from None


def _readable(path: Path, where: str) -> None:
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise ConfigError(f"{where}: {path} cannot be read: {error.strerror}") from error
