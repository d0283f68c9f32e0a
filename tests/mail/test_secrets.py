"""Secrets: errors and logs contain neither keys nor addresses, and impostor servers get nothing."""

import logging
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from nif.mail.provider import NotAccepted, Unavailable, Uncertain
from nif.mail.sendgrid import SendGridMailer
from tests.mail.sendgrid import KEY, Odd, request_for
from tests.standin.client import Standin


@pytest.fixture
def stranger(odd: Odd, tmp_path: Path) -> str:
    """The address of an HTTPS server with a self-signed certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    today = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "key.pem"
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + certificate.public_bytes(Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    odd.socket = context.wrap_socket(odd.socket, server_side=True)
    return odd.url.replace("http:", "https:")


def test_a_server_with_a_wrong_certificate_gets_no_secret(stranger: str, odd: Odd) -> None:
    mailer = SendGridMailer(KEY, stranger, connections=1)

    with pytest.raises(Unavailable):
        mailer.post(request_for(mailer))
    assert odd.seen == []


ECHO = {
    "message": "Each unique email address should only be included once: ann@example.com",
    "field": None,
}


@pytest.mark.parametrize("status", [202, 400, 401, 403, 413, 429, 500])
def test_neither_the_key_nor_an_address_gets_into_errors_and_logs(
    odd: Odd, ask: Callable[[], str | None], caplog: pytest.LogCaptureFixture, status: int
) -> None:
    odd.errors(status, ECHO)
    said = ""
    with caplog.at_level(logging.DEBUG):
        try:
            ask()
        except (NotAccepted, Uncertain) as error:
            said = f"{error} {error!r}"

    assert "SG.a-secret" not in said + caplog.text
    assert "ann@example.com" not in said + caplog.text


@pytest.mark.parametrize("fault", ["reset_mid_body", "truncated", "refuse_unread"])
def test_a_connection_error_contains_no_secret(
    standin: Standin, sendgrid: SendGridMailer, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    standin.push_fault(fault)
    with caplog.at_level(logging.DEBUG), pytest.raises(Uncertain) as told:
        sendgrid.post(request_for(sendgrid))

    said = f"{told.value} {told.value.__cause__!r} {caplog.text}"
    assert standin.api_key not in said
    assert "ann@example.com" not in said
