"""Re-permission campaigns for inactive subscribers and for imports, by the admin pages."""

from datetime import timedelta

from flask.testing import FlaskClient
from sqlalchemy import select, update

from nif.accounts.audit_log import AuditEntry
from nif.clock import utc_now
from nif.database import Database
from nif.jobs.worker import Worker
from nif.mail.outbox import OutboxMail
from nif.sends.models import Send
from nif.sends.repermission import RepermissionCampaign
from nif.services import Services
from nif.subscribers.sunset_policy import find_last_repermission
from nif.subscriptions.lists import get_list
from nif.subscriptions.models import Subscriber, Subscription, SubscriptionState
from tests.factories import a_list, a_subscription, an_import
from tests.web.newsroom.staff import text_of

AT = "/admin/lists/daily/inactive"
PLAN = {"months": "12", "wait_days": "30", "per_hour": "20000"}


def add_inactive_subscribers(database: Database, count: int) -> None:
    long_ago = utc_now() - timedelta(days=800)
    with database.transaction() as session:
        daily = a_list(session)
        for _ in range(count):
            one = a_subscription(session, daily)
            one.confirmed_at = one.subscriber.created_at = long_ago


def deliver(services: Services, database: Database) -> Send:
    """End the undo period of the only send, and deliver it."""
    with database.transaction() as session:
        just_now = utc_now() - timedelta(seconds=1)
        session.execute(update(Send).values(starts_at=just_now))
        session.execute(update(RepermissionCampaign).values(due_at=just_now))
        send = session.scalars(select(Send)).one()
    Worker(services).deliver_send(send.id)
    return send


def list_actions(database: Database) -> list[str]:
    with database.reading() as session:
        return list(
            session.scalars(select(AuditEntry.action).where(AuditEntry.subject_kind == "list"))
        )


def test_inactive_subscribers_are_counted_mailed_and_unsubscribed_unless_they_respond(
    admin: FlaskClient, client: FlaskClient, database: Database, services: Services
) -> None:
    add_inactive_subscribers(database, 3)
    assert "Not counted yet" in admin.get(AT).text
    assert "12 months 3 Send re-permission mail…" in text_of(
        admin.post(f"{AT}/count", follow_redirects=True).text
    )
    page = text_of(admin.get(f"{AT}/repermission?months=12").text)
    assert "3 subscribers without activity for 12 months" in page
    assert "Do you still want NIF Daily?" in page

    wrong = admin.post(f"{AT}/repermission", data={**PLAN, "wait_days": "3", "expected_count": "3"})
    assert wrong.status_code == 422
    assert "Allow 14 to 365 days." in wrong.text
    grown = admin.post(f"{AT}/repermission", data={**PLAN, "expected_count": "2"})
    assert grown.status_code == 422
    assert "There are 3 of them by now." in text_of(grown.text)
    assert admin.post(f"{AT}/repermission", data={**PLAN, "expected_count": "3"}).status_code == 303
    again = admin.post(
        f"{AT}/repermission", data={**PLAN, "expected_count": "3"}, follow_redirects=True
    )
    assert "under way already" in again.text
    send = deliver(services, database)
    with database.reading() as session:
        mails = session.scalars(select(OutboxMail)).all()
        assert len(mails) == 3
        path = next(
            word.removeprefix("http://127.0.0.1:8000")
            for word in mails[0].text.split()
            if "/stay/" in word
        )
    assert "Yes, keep me subscribed" in client.get(path).text
    assert "You stay subscribed" in client.post(path).text
    assert client.get(path[:-2]).status_code == 404

    assert "Subscribers can respond until" in text_of(admin.get(f"{AT}/unsubscribe").text)
    long_ago = utc_now() - timedelta(days=31)
    with database.transaction() as session:
        session.execute(update(Send).where(Send.id == send.id).values(finished_at=long_ago))
    assert "Of 3 subscribers, 2 did not respond." in text_of(admin.get(f"{AT}/unsubscribe").text)
    assert admin.post(f"{AT}/unsubscribe", data={"expected_count": "1"}).status_code == 422
    assert admin.post(f"{AT}/unsubscribe", data={"expected_count": "2"}).status_code == 303
    assert "Non-responders are being unsubscribed." in text_of(admin.get(AT).text)
    Worker(services).run("advance_repermission")
    page = text_of(admin.get(AT).text)
    assert "Stayed 1 pressed the button" in page
    assert "Unsubscribed by NIF 2 no response" in page
    with database.reading() as session:
        daily = get_list(session, "daily")
        assert (daily.confirmed_count, daily.unsubscribed_count) == (1, 2)
    assert list_actions(database) == ["repermission_started", "nonresponders_unsubscribed"]


def test_a_stopped_or_cancelled_campaign_unsubscribes_nobody(
    admin: FlaskClient, database: Database
) -> None:
    add_inactive_subscribers(database, 1)
    assert admin.post(f"{AT}/stop").status_code == 404
    admin.post(f"{AT}/repermission", data={**PLAN, "expected_count": "1"})
    assert "Stopped." in admin.post(f"{AT}/stop", follow_redirects=True).text
    assert "ended already" in admin.post(f"{AT}/stop", follow_redirects=True).text
    later = utc_now() + timedelta(seconds=5)
    with database.transaction() as session:
        session.execute(update(Send).values(starts_at=later))
        assert (
            find_last_repermission(session, get_list(session, "daily").id).state.value == "stopped"
        )
        edition = session.scalars(select(Send)).one().edition
        edition.occasion = "repermission-1"
    admin.post(f"{AT}/repermission", data={**PLAN, "expected_count": "1"})
    with database.reading() as session:
        second = session.scalars(select(Send.id).order_by(Send.id.desc())).first()
    admin.post(f"/admin/sends/{second}/cancel")
    assert "Stopped." in admin.get(AT).text
    assert "As readers see it" not in admin.get(f"/admin/sends/{second}").text


def test_pending_subscribers_of_an_import_are_mailed_and_its_page_shows_the_progress(
    admin: FlaskClient, client: FlaskClient, database: Database, services: Services
) -> None:
    with database.transaction() as session:
        run = an_import(session, a_list(session), "ann@example.com", "bo@example.com")
        at = f"/admin/lists/daily/import/{run.id}"
    assert f'href="{at}/repermission"' in admin.get(at).text
    page = admin.get(f"{at}/repermission").text
    assert "From &lt;b&gt;our&lt;/b&gt; shop." in page
    assert "Send to 2 subscribers" in page
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

    Worker(services).run("advance_repermission")
    page = text_of(admin.get(at).text)
    assert "Sent 2 accepted by the provider" in page
    assert "Confirmed 1 pressed the button" in page
    with database.reading() as session:
        query = select(Subscriber.address).join(
            Subscription, Subscription.subscriber_id == Subscriber.id
        )
        confirmed = query.where(Subscription.state == SubscriptionState.CONFIRMED)
        assert len(session.scalars(confirmed).all()) == 1
    assert list_actions(database) == ["import_repermission_started"]
