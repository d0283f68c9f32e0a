"""The event webhook."""

import sqlite3

import orjson
import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from nif.sends import provider_events
from nif.sends.models import LostEventPost, ProviderEventPost
from nif.settings import Settings
from tests.standin.signing import Signer
from tests.waiting import wait_until

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


def lost(session: Session) -> int:
    session.rollback()
    count = session.scalar(select(func.count()).select_from(LostEventPost)) or 0
    session.rollback()  # On SQLite an open session lets nobody else write.
    return count


def test_a_signed_post_that_is_turned_away_is_recorded_once_a_minute(
    client: FlaskClient, session: Session, signer: Signer
) -> None:
    client.post(ADDRESS, data=EVENTS, headers=signer.headers(EVENTS))
    client.post(ADDRESS, data=EVENTS)
    assert lost(session) == 0

    for _ in range(2):
        assert client.post(ADDRESS, data=b"{}", headers=signer.headers(b"{}")).status_code == 400
    assert lost(session) == 1


def test_a_post_signed_with_another_key_is_recorded_as_lost(
    client: FlaskClient, session: Session
) -> None:
    client.post(ADDRESS, data=EVENTS, headers=Signer().headers(EVENTS))

    assert lost(session) == 1


def test_a_post_that_the_database_could_not_take_is_recorded_once_it_can(
    client: FlaskClient, session: Session, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OperationalError("INSERT", {}, sqlite3.OperationalError("database is locked"))

    record = provider_events.record_lost_event_post
    monkeypatch.setattr(provider_events, "store_event_post", fail)
    monkeypatch.setattr(provider_events, "record_lost_event_post", fail)
    answer = client.post(ADDRESS, data=EVENTS, headers=signer.headers(EVENTS))
    assert (answer.status_code, lost(session)) == (503, 0)

    monkeypatch.setattr(provider_events, "record_lost_event_post", record)
    wait_until(lambda: lost(session) == 1, "the loss is recorded")
