"""SendGrid's refusals over real HTTP, and what the admin page says about them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from threading import Thread
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pydantic import SecretStr
from sqlalchemy.orm import Session
from werkzeug.serving import make_server

from nif.accounts.models import RoleName
from nif.clock import utc_now
from nif.database import Database
from nif.sends import circuit_breaker, provider_events
from nif.sends.certificates import certify_send
from nif.sends.delivery import DeliveryContext, deliver_send
from nif.sends.evidence import ReconciliationTiming
from nif.sends.leases import LeaseWatch
from nif.sends.models import Send
from nif.sends.reconciliation import reconcile_batches
from nif.services import Services, build_services
from nif.settings import MailerName, Settings
from nif.subscriptions.models import Consent
from tests.factories import a_send
from tests.journeys.installation import free_port
from tests.standin.client import Standin
from tests.standin.scanner import one_click, scan
from tests.web.newsroom.staff import signed_in, without_tokens

READERS = [f"reader{n}@example.com" for n in range(12)]


@pytest.fixture
def standin() -> Iterator[Standin]:
    with Standin() as standin:
        yield standin


@pytest.fixture
def settings(settings: Settings, standin: Standin) -> Settings:
    return settings.model_copy(
        update={
            "base_url": f"http://127.0.0.1:{free_port()}",
            "mailer": MailerName.SENDGRID,
            "sendgrid_api_key": SecretStr(standin.api_key),
            "sendgrid_host": standin.url,
            "sendgrid_webhook_public_keys": (standin.public_key,),
        }
    )


@pytest.fixture
def site(app: Flask, settings: Settings) -> Iterator[str]:
    """The address of the app behind a real HTTP server."""
    port = urlsplit(settings.base_url).port or 0
    server = make_server("127.0.0.1", port, app, threaded=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield settings.base_url
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def send(database: Database, services: Services) -> Send:
    with database.transaction() as session:
        return a_send(session, services, *READERS, now=utc_now() - timedelta(minutes=5))


@pytest.fixture
def admin(app: Flask, database: Database) -> FlaskClient:
    return signed_in(without_tokens(app), database, RoleName.ADMIN)


@pytest.fixture
def delivery_context(services: Services, standin: Standin) -> Iterator[DeliveryContext]:
    """A delivery context; afterwards, no reader has received two mails."""
    yield replace(services.delivery_context, concurrency=2)
    assert set(standin.recipients().values()) <= {1}


def resume_delivery(database: Database, delivery_context: DeliveryContext, send: Send) -> None:
    with database.transaction() as session:
        circuit_breaker.allow_breaker_probe_now(session, now=utc_now())
    deliver_send(delivery_context, send.id)


def count_accepted(database: Database, send: Send) -> int:
    certificate = certify_send(database, send.id, now=utc_now())
    assert certificate.contradictions == []
    return certificate.accepted


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("key_revoked", "SendGrid rejected the API key"),
        ("credits_used_up", "credits"),
        ("from_not_verified", "verify the sender"),
        ("too_many_requests", "faster than SendGrid currently allows"),
    ],
)
def test_a_refusal_of_all_mail_pauses_with_a_reason_and_resumes(
    kind: str,
    message: str,
    standin: Standin,
    database: Database,
    delivery_context: DeliveryContext,
    send: Send,
    admin: FlaskClient,
) -> None:
    standin.push_fault(kind, seconds=30)
    deliver_send(delivery_context, send.id)

    assert message in admin.get(f"/admin/sends/{send.id}").text
    assert count_accepted(database, send) == 0
    resume_delivery(database, delivery_context, send)
    assert count_accepted(database, send) == len(READERS)


def test_one_refused_address_does_not_affect_the_others(
    standin: Standin,
    database: Database,
    delivery_context: DeliveryContext,
    send: Send,
    admin: FlaskClient,
) -> None:
    standin.push_fault("bad_address", address=READERS[4], times=1)
    deliver_send(delivery_context, send.id)

    page = admin.get(f"/admin/sends/{send.id}").text
    assert READERS[4] in page
    assert count_accepted(database, send) == len(READERS) - 1


def test_a_refused_connection_is_distinguished_from_a_missing_answer(
    database: Database,
    delivery_context: DeliveryContext,
    services: Services,
    send: Send,
    admin: FlaskClient,
) -> None:
    unreachable = build_services(
        services.settings.model_copy(update={"sendgrid_host": "http://127.0.0.1:9"})
    )
    deliver_send(replace(delivery_context, mailer=unreachable.mailer), send.id)
    unreachable.database.close()

    assert "SendGrid cannot be reached" in admin.get(f"/admin/sends/{send.id}").text
    resume_delivery(database, delivery_context, send)
    assert count_accepted(database, send) == len(READERS)


@pytest.mark.parametrize("kind", ["accept_then_500", "accept_then_drop", "truncated"])
def test_a_batch_accepted_without_an_answer_is_settled_by_an_event(
    kind: str,
    standin: Standin,
    database: Database,
    delivery_context: DeliveryContext,
    send: Send,
    admin: FlaskClient,
    site: str,
) -> None:
    standin.push_fault(kind)
    deliver_send(delivery_context, send.id)
    assert "Undecided batches" in admin.get(f"/admin/sends/{send.id}").text
    deliver_send(delivery_context, send.id)
    if kind != "truncated":
        assert count_accepted(database, send) == 0

    standin.emit_to(f"{site}/webhooks/sendgrid/events")
    standin.wait_for_events()
    is_waiting = True
    while is_waiting:
        with database.transaction() as session:
            is_waiting = provider_events.process_next_event_post(session, now=utc_now())
    reconcile(delivery_context, quiet=timedelta(hours=1))
    assert count_accepted(database, send) == len(READERS)


def reconcile(delivery_context: DeliveryContext, *, quiet: timedelta) -> None:
    watch = LeaseWatch(delivery_context.lease)
    reconcile_batches(
        delivery_context.transaction,
        delivery_context.mailer,
        watch,
        ReconciliationTiming(quiet),
        now=utc_now(),
    )


def test_every_mail_is_correct_and_a_link_scanner_changes_nothing(
    standin: Standin, database: Database, delivery_context: DeliveryContext, send: Send, site: str
) -> None:
    deliver_send(delivery_context, send.id)
    mails = [standin.mails(address)[-1] for address in READERS]

    assert standin.problems() == []
    visits = [visit for mail in mails[:3] for visit in scan(mail, only=site)]
    assert len(visits) >= 12
    assert {visit.status for visit in visits} <= {200, 404}
    assert count_consents(database) == 0

    for multipart in (True, False):
        answer = one_click(mails[0], multipart)
        assert answer.status == 200
    assert count_consents(database) == 1


def count_consents(database: Database) -> int:
    with database.reading() as session:
        return len(list_consents(session))


def list_consents(session: Session) -> list[Consent]:
    return list(session.query(Consent))
