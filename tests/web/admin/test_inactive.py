"""Quiet readers, and those of an import who are asked to confirm, by the pages of the desk."""

from datetime import timedelta

from flask.testing import FlaskClient
from sqlalchemy import select, update

from nif.accounts.audit_log import AuditEntry
from nif.clock import utc_now
from nif.database import Database
from nif.jobs.worker import Worker
from nif.mail.outbox import OutboxMail
from nif.sends.models import Send
from nif.services import Services
from nif.subscribers.inactive import find_last_repermission
from nif.subscriptions.lists import get_list
from nif.subscriptions.models import Subscriber, Subscription, SubscriptionState
from tests.factories import a_list, a_subscription, an_import
from tests.web.newsroom.staff import text_of

AT = "/admin/lists/daily/inactive"
PLAN = {"months": "12", "wait_days": "30", "per_hour": "20000"}


def quiet_readers(database: Database, count: int) -> None:
    long_ago = utc_now() - timedelta(days=800)
    with database.transaction() as session:
        daily = a_list(session)
        for _ in range(count):
            one = a_subscription(session, daily)
            one.confirmed_at = one.subscriber.created_at = long_ago


def deliver(services: Services, database: Database) -> Send:
    """The undo window is over, and the worker does its work."""
    with database.transaction() as session:
        session.execute(update(Send).values(starts_at=utc_now() - timedelta(seconds=1)))
        send = session.scalars(select(Send)).one()
    Worker(services).deliver(send.id)
    return send


def deeds(database: Database) -> list[str]:
    with database.reading() as session:
        return list(
            session.scalars(select(AuditEntry.what).where(AuditEntry.subject_kind == "list"))
        )


def test_they_are_counted_asked_stay_and_the_others_are_let_go(
    admin: FlaskClient, client: FlaskClient, database: Database, services: Services
) -> None:
    quiet_readers(database, 3)
    assert "Not counted yet" in admin.get(AT).text
    assert "12 months 3 Ask them…" in text_of(admin.post(f"{AT}/count", follow_redirects=True).text)
    page = text_of(admin.get(f"{AT}/repermission?months=12").text)
    assert "3 readers without a sign of life for 12 months" in page
    assert "Do you still want NIF Daily?" in page

    wrong = admin.post(f"{AT}/repermission", data={**PLAN, "wait_days": "3", "people": "3"})
    assert wrong.status_code == 422
    assert "Give them 14 to 365 days." in wrong.text
    grown = admin.post(f"{AT}/repermission", data={**PLAN, "people": "2"})
    assert grown.status_code == 422
    assert "There are 3 of them by now." in text_of(grown.text)
    assert admin.post(f"{AT}/repermission", data={**PLAN, "people": "3"}).status_code == 303
    again = admin.post(f"{AT}/repermission", data={**PLAN, "people": "3"}, follow_redirects=True)
    assert "being asked already" in again.text
    send = deliver(services, database)
    with database.reading() as session:
        mails = session.scalars(select(OutboxMail)).all()
        assert len(mails) == 3
        path = next(
            word.removeprefix("http://127.0.0.1:8000")
            for word in mails[0].text.split()
            if "/stay/" in word
        )
    assert "Yes, keep it coming" in client.get(path).text
    assert "It keeps coming" in client.post(path).text
    assert client.get(path[:-2]).status_code == 404

    assert "They can answer until" in text_of(admin.get(f"{AT}/unsubscribe").text)
    long_ago = utc_now() - timedelta(days=31)
    with database.transaction() as session:
        session.execute(update(Send).where(Send.id == send.id).values(finished_at=long_ago))
    assert "Of 3 who were asked, 2 have given no sign." in text_of(
        admin.get(f"{AT}/unsubscribe").text
    )
    assert admin.post(f"{AT}/unsubscribe", data={"people": "1"}).status_code == 422
    assert admin.post(f"{AT}/unsubscribe", data={"people": "2"}).status_code == 303
    Worker(services).askings()
    told = text_of(admin.get(AT).text)
    assert "Stayed 1 pressed the button" in told
    assert "Let go 2 without an answer" in told
    with database.reading() as session:
        daily = get_list(session, "daily")
        assert (daily.confirmed_count, daily.unsubscribed_count) == (1, 2)
    assert deeds(database) == ["repermission_started", "nonresponders_unsubscribed"]


def test_it_can_be_stopped_and_what_was_cancelled_lets_nobody_go(
    admin: FlaskClient, database: Database
) -> None:
    quiet_readers(database, 1)
    assert admin.post(f"{AT}/stop").status_code == 404
    admin.post(f"{AT}/repermission", data={**PLAN, "people": "1"})
    assert "Stopped." in admin.post(f"{AT}/stop", follow_redirects=True).text
    assert "over already" in admin.post(f"{AT}/stop", follow_redirects=True).text
    later = utc_now() + timedelta(seconds=5)
    with database.transaction() as session:
        session.execute(update(Send).values(starts_at=later))
        assert (
            find_last_repermission(session, get_list(session, "daily").id).state.value == "stopped"
        )
        edition = session.scalars(select(Send)).one().edition
        edition.occasion = "asking-1"
    admin.post(f"{AT}/repermission", data={**PLAN, "people": "1"})
    with database.reading() as session:
        second = session.scalars(select(Send.id).order_by(Send.id.desc())).first()
    admin.post(f"/admin/sends/{second}/cancel")
    assert "It was stopped." in admin.get(AT).text
    assert "As readers see it" not in admin.get(f"/admin/sends/{second}").text


def test_an_import_is_asked_to_confirm_and_its_page_tells_how_far_it_is(
    admin: FlaskClient, client: FlaskClient, database: Database, services: Services
) -> None:
    with database.transaction() as session:
        run = an_import(session, a_list(session), "ann@example.com", "bo@example.com")
        at = f"/admin/lists/daily/import/{run.id}"
    assert f'href="{at}/repermission"' in admin.get(at).text
    page = admin.get(f"{at}/repermission").text
    assert "From &lt;b&gt;our&lt;/b&gt; shop." in page
    assert "Ask 2 people" in page
    slow = admin.post(f"{at}/repermission", data={"per_hour": "2"})
    assert (slow.status_code, 'value="2"' in slow.text) == (422, True)

    assert admin.post(f"{at}/repermission", data={"per_hour": "6000"}).status_code == 303
    again = admin.post(f"{at}/repermission", data={"per_hour": "6000"}, follow_redirects=True)
    assert "asked already" in again.text
    deliver(services, database)
    with database.reading() as session:
        mails = session.scalars(select(OutboxMail)).all()
        texts = {mail.text for mail in mails}
    assert len(mails) == 2
    assert all("From <b>our</b> shop." in text for text in texts)
    link = next(word for word in texts.pop().split() if "/confirm/" in word)
    client.post(link.removeprefix("http://127.0.0.1:8000"))

    Worker(services).askings()
    told = text_of(admin.get(at).text)
    assert "Mailed 2 have the question" in told
    assert "Confirmed 1 pressed the button" in told
    with database.reading() as session:
        query = select(Subscriber.address).join(
            Subscription, Subscription.subscriber_id == Subscriber.id
        )
        confirmed = query.where(Subscription.state == SubscriptionState.CONFIRMED)
        assert len(session.scalars(confirmed).all()) == 1
    assert deeds(database) == ["import_repermission_started"]
