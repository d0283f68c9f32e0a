"""SIGKILL in the middle of a send, checked against the stand-in's own log."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update

from nif.clock import utc_now
from nif.database import Database
from nif.editions.digest import make_digest_of_slot
from nif.editions.schedule import Slot
from nif.sends.certificates import certify_send
from nif.sends.models import Send, SendState
from nif.sends.planning import SendTerms, plan_send
from nif.services import build_services
from nif.settings import load_settings
from nif.subscriptions.models import MailingList, Subscriber, Subscription, SubscriptionState
from tests.factories import a_list, a_story
from tests.journeys.installation import Installation
from tests.standin.client import Standin
from tests.waiting import becomes_true, wait_until

READERS = 2000
BATCH = 400
LATER_MAIL = "editor@example.com"


@pytest.mark.parametrize("kills", [2])
def test_every_reader_receives_exactly_one_mail(
    tmp_path: Path, database_url: str, installation_database: Database, kills: int
) -> None:
    with (
        Standin("--latency-ms", "150") as standin,
        an_installation(tmp_path, database_url, standin) as installation,
    ):
        installation.start("serve")
        standin.emit_to(f"{installation.url}/webhooks/sendgrid/events", "normal", interval=0.5)
        send_id, edition_id = plan_a_send(installation_database, installation)
        installation.start("worker")
        for n in range(1, kills + 1):
            wait_until(lambda n=n: len(standin.deliveries()) >= n * BATCH, "some are accepted")
            installation.kill("worker")
            installation.start("worker")

        def is_settled() -> bool:
            return is_finished(installation_database, send_id)

        # A batch claimed but not posted is released once an event for later mail has arrived, and
        # nothing else may be in progress by then.
        for _ in range(30):
            installation.run("edition", "test", str(edition_id), "--to", LATER_MAIL)
            if becomes_true(is_settled, seconds=3):
                break
        assert is_settled()

        mailed = standin.recipients()
        del mailed[LATER_MAIL]
        assert set(mailed.values()) == {1}
        assert len(mailed) == READERS
        assert standin.problems() == []
        certificate = certify_send(installation_database, send_id, now=utc_now())
        assert certificate.is_complete
        assert certificate.accepted == READERS


def an_installation(tmp_path: Path, database_url: str, standin: Standin) -> Installation:
    return Installation(
        tmp_path,
        database_url,
        mailer="sendgrid",
        sendgrid_api_key=standin.api_key,
        sendgrid_host=standin.url,
        sendgrid_webhook_public_keys=standin.public_key,
        send_concurrency="1",
        send_lease="2",
        send_quiet_period="4",
    )


def plan_a_send(database: Database, installation: Installation) -> tuple[int, int]:
    now = utc_now()
    services = build_services(
        load_settings(base_url=installation.url, secret_key=secret_of(installation))
    )
    with database.transaction() as session:
        mailing_list = a_list(session, created_at=now - timedelta(days=2))
        add_readers(session, mailing_list)
        a_story(session, at=now - timedelta(hours=1))
        edition = make_digest_of_slot(
            session, mailing_list, Slot(now.date(), now), services.mail_writer, now=now
        )
        assert edition is not None
        send = plan_send(session, edition, SendTerms(BATCH), now=now)
        assert send is not None
        return send.id, edition.id


def secret_of(installation: Installation) -> str:
    return (Path(installation.environment["NIF_INSTANCE_DIR"]) / "secret_key").read_text()


def add_readers(session, mailing_list: MailingList) -> None:  # type: ignore[no-untyped-def]
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    addresses = [f"reader{n}@example.com" for n in range(READERS)]
    session.execute(
        insert(Subscriber),
        [{"address": a, "canonical": a, "created_at": moment} for a in addresses],
    )
    ids = session.scalars(select(Subscriber.id)).all()
    state = {"state": SubscriptionState.CONFIRMED, "requested_at": moment, "confirmed_at": moment}
    session.execute(
        insert(Subscription),
        [{"subscriber_id": one, "list_id": mailing_list.id, **state} for one in ids],
    )
    session.execute(update(MailingList).values(confirmed_count=READERS))


def is_finished(database: Database, send_id: int) -> bool:
    with database.reading() as session:
        return session.get_one(Send, send_id).state is SendState.FINISHED
