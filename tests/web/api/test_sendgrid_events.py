"""The event webhook."""

import orjson
import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nif.sends.models import ProviderEventPost
from nif.settings import Settings
from tests.standin.signing import Signer

EVENTS = orjson.dumps([{"sg_event_id": "e1", "event": "delivered", "timestamp": 1}]) + b"\r\n"
ADDRESS = "/webhooks/sendgrid/events"


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer()


@pytest.fixture
def settings(settings: Settings, signer: Signer) -> Settings:
    return settings.model_copy(update={"sendgrid_webhook_public_keys": (signer.public_key,)})


def kept(session: Session) -> int:
    session.rollback()
    return session.scalar(select(func.count()).select_from(ProviderEventPost)) or 0


def test_a_signed_post_is_stored_and_answered(
    client: FlaskClient, session: Session, signer: Signer
) -> None:
    answer = client.post(ADDRESS, data=EVENTS, headers=signer.headers(EVENTS))

    assert (answer.status_code, kept(session)) == (204, 1)


def test_a_post_without_a_valid_signature_is_refused_and_not_stored(
    client: FlaskClient, session: Session, signer: Signer
) -> None:
    headers = signer.headers(EVENTS)
    other = Signer().headers(EVENTS)
    forged = [
        (EVENTS, {}),
        (EVENTS, other),
        (EVENTS.rstrip(), headers),
        (EVENTS.replace(b"e1", b"e2"), headers),
        (EVENTS, {name: "junk é" if "Sig" in name else value for name, value in headers.items()}),
    ]
    statuses = [client.post(ADDRESS, data=b, headers=h).status_code for b, h in forged]

    assert statuses == [403] * len(forged)
    assert kept(session) == 0


@pytest.mark.parametrize("body", [b"{}", b"no json", b"\xff\xfe"])
def test_a_signed_post_that_is_no_list_is_refused(
    client: FlaskClient, session: Session, signer: Signer, body: bytes
) -> None:
    assert client.post(ADDRESS, data=body, headers=signer.headers(body)).status_code == 400
    assert kept(session) == 0


def test_a_post_that_is_too_large_is_refused(
    client: FlaskClient, session: Session, signer: Signer
) -> None:
    body = b"[" + b" " * 3_000_000 + b"]"

    assert client.post(ADDRESS, data=body, headers=signer.headers(body)).status_code == 413
