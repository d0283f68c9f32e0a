"""kill -9 in the middle of a send, told by the stand-in's own log."""

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
from tests.journeys.house import House, comes_true, until
from tests.standin.client import Standin

READERS = 2000
BATCH = 400
LATER_MAIL = "editor@example.com"


@pytest.mark.parametrize("kills", [2])
def test_everyone_has_exactly_one_mail(
    tmp_path: Path, database_url: str, house_database: Database, kills: int
) -> None:
    with (
        Standin("--latency-ms", "150") as standin,
        a_house(tmp_path, database_url, standin) as house,
    ):
        house.start("serve")
        standin.emit_to(f"{house.url}/webhooks/sendgrid/events", "normal", interval=0.5)
        send_id, edition_id = plan_a_send(house_database, house)
        house.start("worker")
        for n in range(1, kills + 1):
            until(lambda n=n: len(standin.deliveries()) >= n * BATCH, "some are accepted")
            house.kill("worker")
            house.start("worker")

        def is_settled() -> bool:
            return is_finished(house_database, send_id)

        # A batch that was taken and not posted is released once later mail is heard of, and
        # nothing else may be under way by then.
        for _ in range(30):
            house.run("edition", "test", str(edition_id), "--to", LATER_MAIL)
            if comes_true(is_settled, seconds=3):
                break
        assert is_settled()

        mailed = standin.recipients()
        del mailed[LATER_MAIL]
        assert set(mailed.values()) == {1}
        assert len(mailed) == READERS
        assert standin.problems() == []
        made = certify_send(house_database, send_id, now=utc_now())
        assert made.is_complete
        assert made.accepted == READERS


def a_house(tmp_path: Path, database_url: str, standin: Standin) -> House:
    return House(
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


def plan_a_send(database: Database, house: House) -> tuple[int, int]:
    now = utc_now()
    services = build_services(load_settings(base_url=house.url, secret_key=secret_of(house)))
    with database.transaction() as session:
        mailing_list = a_list(session, created_at=now - timedelta(days=2))
        fill(session, mailing_list)
        a_story(session, at=now - timedelta(hours=1))
        edition = make_digest_of_slot(
            session, mailing_list, Slot(now.date(), now), services.mail_writer, now=now
        )
        assert edition is not None
        send = plan_send(session, edition, SendTerms(BATCH), now=now)
        assert send is not None
        return send.id, edition.id


def secret_of(house: House) -> str:
    return (Path(house.environment["NIF_INSTANCE_DIR"]) / "secret_key").read_text()


def fill(session, mailing_list: MailingList) -> None:  # type: ignore[no-untyped-def]
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
