"""Search and profile of subscribers, actions on them, and segments."""

import re

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from nif.accounts.audit_log import AuditEntry
from nif.database import Database
from nif.services import Services
from nif.settings import Settings
from nif.subscribers.segments import Segment
from nif.subscriptions.consent import ConsentContext, record_consent
from nif.subscriptions.models import (
    Consent,
    ConsentAction,
    MailingList,
    Subscriber,
    Subscription,
    SubscriptionState,
    Suppression,
)
from nif.subscriptions.suppression_list import is_erased_address
from tests.conftest import NOON
from tests.factories import a_send
from tests.subscribers.sample_subscribers import add_sample_subscribers
from tests.web.newsroom.staff import text_of


@pytest.fixture
def crowd(database: Database) -> None:
    with database.transaction() as session:
        add_sample_subscribers(session)


def names_found(admin: FlaskClient, query: str) -> list[str]:
    return re.findall(r'class="address" href="[^"]+">([a-zA-Z]+)', admin.get(query).text)


@pytest.mark.usefixtures("crowd")
def test_subscribers_are_found_by_filters_and_invalid_filters_are_reported(
    admin: FlaskClient,
) -> None:
    page = "/admin/subscribers"
    assert names_found(admin, page) == ["dee", "cy", "bob", "Ann"]
    assert names_found(admin, f"{page}?part=TWO.ex") == ["cy", "bob"]
    assert names_found(admin, f"{page}?list=weekly&state=pending") == ["cy"]
    assert names_found(admin, f"{page}?list=daily&before=2026-01-01") == ["bob"]
    assert names_found(admin, f"{page}?source=/subscribe&active_since=2026-11-01") == ["Ann"]
    assert names_found(admin, f"{page}?mail=no") == ["dee"]
    assert "No matches" in text_of(admin.get(f"{page}?part=nobody").text)

    wrong = admin.get(f"{page}?part=ab&since=yesterday&list=nowhere")
    assert wrong.status_code == 422
    for words in ("at least 3 characters", "Enter a day, such as", "Choose one of the lists"):
        assert words in text_of(wrong.text)
    assert 'value="ab"' in wrong.text
    assert admin.get(f"{page}?after=nowhere").status_code == 404


def test_without_data_the_pages_say_so(admin: FlaskClient) -> None:
    assert "There are no subscribers yet" in text_of(admin.get("/admin/subscribers").text)
    assert "There are no segments yet" in text_of(admin.get("/admin/segments").text)


def test_the_profile_shows_consents_editions_and_lists(
    admin: FlaskClient, database: Database, services: Services
) -> None:
    with database.transaction() as session:
        send = a_send(session, services, "ann@example.com")
        on = session.scalars(select(Subscription)).one()
        agreed = ConsentContext("/subscribe", "192.0.2.0/24", "I would like mail.")
        record_consent(session, on, ConsentAction.CONFIRMED, agreed, now=NOON)
        subject = send.edition.as_message().subject

    page = text_of(admin.get("/admin/subscribers/1").text)

    for words in ("ann@example.com", "source: /subscribe, from 192.0.2.0/24", subject):
        assert words in page
    assert "“I would like mail.”" in page
    assert "Pending" in page
    assert admin.get("/admin/subscribers/99").status_code == 404


def test_actions_need_confirmation_and_are_recorded_and_shown(
    admin: FlaskClient, database: Database, services: Services
) -> None:
    with database.transaction() as session:
        slug = a_send(session, services, "ann@example.com").mailing_list.slug
    address = "/admin/subscribers/1"
    assert "Unsubscribe from this list?" in admin.get(f"{address}/unsubscribe/{slug}").text
    admin.post(f"{address}/unsubscribe/{slug}")
    assert "Enter a reason" in admin.post(f"{address}/suppress", data={"reason": " "}).text
    admin.post(f"{address}/suppress", data={"reason": "She asked by telephone."})
    page = text_of(admin.get(address).text)

    assert "manual: She asked by telephone." in page
    for words in ("unsubscribed from a list", "Ed Itor suppressed", "source: /admin/subscribers"):
        assert words in page
    assert "Lift this suppression?" in admin.get(f"{address}/lift").text
    admin.post(f"{address}/lift")
    with database.reading() as session:
        assert session.scalars(select(Suppression)).all() == []
        assert session.scalars(select(Subscription.state)).one() is SubscriptionState.UNSUBSCRIBED
        assert session.scalars(select(MailingList.unsubscribed_count)).one() == 1
        assert session.scalars(select(Consent.action)).all() == [ConsentAction.UNSUBSCRIBED]
        entries = session.execute(
            select(AuditEntry.action, AuditEntry.detail).where(
                AuditEntry.subject_kind == "subscriber"
            )
        )
        recorded = entries.all()
        assert [entry.action for entry in recorded][-1] == "suppression_lifted"
        assert not any("ann" in str(entry) for entry in recorded)
        assert session.scalars(select(Subscriber.address)).one() == "ann@example.com"


@pytest.mark.usefixtures("crowd")
def test_data_is_exported_and_a_subscriber_erased_on_request(
    admin: FlaskClient, database: Database, settings: Settings
) -> None:
    with database.reading() as session:
        ann = session.scalars(select(Subscriber).where(Subscriber.address.like("Ann%"))).one()
    address = f"/admin/subscribers/{ann.id}"
    file = admin.get(f"{address}/data.json")
    assert file.get_json()["tables"]["subscriber"][0]["address"] == ann.address
    assert "attachment" in file.headers["Content-Disposition"]
    assert "It cannot be undone" in admin.get(f"{address}/erase").text

    answer = admin.post(f"{address}/erase")

    log = settings.instance_dir / "nif.db-wal"
    assert not log.exists() or log.stat().st_size == 0
    assert "Erased." in admin.get(answer.location).text
    assert "Ann" not in names_found(admin, "/admin/subscribers")
    assert admin.get(address).status_code == 404
    with database.reading() as session:
        assert is_erased_address(session, ann.canonical)
        entries = session.execute(
            select(AuditEntry.action, AuditEntry.subject_id, AuditEntry.detail)
        ).all()
    assert ("subscriber_erased", str(ann.id), None) in [tuple(entry) for entry in entries]


@pytest.mark.usefixtures("crowd")
def test_a_suppression_from_the_provider_is_neither_lifted_nor_replaced(
    admin: FlaskClient, database: Database
) -> None:
    assert "This suppression cannot be lifted here" in admin.get("/admin/subscribers/4/lift").text
    for action in ("lift", "suppress"):
        answer = admin.post(
            f"/admin/subscribers/4/{action}", data={"reason": "x"}, follow_redirects=True
        )
        assert "Nothing was changed." in answer.text
    with database.reading() as session:
        assert session.scalars(select(Suppression.source)).all() == ["event"]


@pytest.mark.usefixtures("crowd")
def test_a_segment_is_built_row_by_row_counted_shown_and_deleted(
    admin: FlaskClient, database: Database
) -> None:
    new = "/admin/segments/new"
    form = {"name": "Two", "match": "all", "what-0": "address.contains"}
    longer = admin.post(new, data={**form, "do": "add"})
    assert all(f'id="{name}"' in longer.text for name in ("value-0", "what-1"))
    assert "at least 3 characters" in admin.post(new, data={**form, "value-0": "t"}).text
    form |= {"value-0": "TWO.example", "what-3": "list.confirmed", "value-3": "weekly"}
    assert "Enter a name for the segment" in admin.post(new, data={**form, "name": ""}).text

    saved = admin.post(new, data=form)

    assert (saved.status_code, saved.location) == (303, "/admin/segments/1")
    page = text_of(admin.get("/admin/segments/1").text)
    assert "1 subscriber counted on" in page
    assert "Address contains two.example" in page
    assert "Is confirmed on the list NIF Daily" in page
    assert names_found(admin, "/admin/segments/1") == ["bob"]
    assert "already a segment with this name" in admin.post(new, data=form).text
    changed = {**edit_form(admin), "match": "any"}
    admin.post("/admin/segments/1/edit", data=changed)
    with database.transaction() as session:
        segment = session.get_one(Segment, 1)
        assert (segment.size, segment.conditions["match"]) == (2, "any")
        segment.size = 77
    admin.post("/admin/segments/1/count")
    assert "2 subscribers counted on" in text_of(admin.get("/admin/segments/1").text)
    admin.post("/admin/segments/1/delete")
    assert admin.get("/admin/segments/1").status_code == 404


def edit_form(admin: FlaskClient) -> dict[str, str]:
    """The current values of the edit form of the segment."""
    page = admin.get("/admin/segments/1/edit").text
    chosen = re.findall(
        r'<select id="([^"]+)"(?:(?!</select>).)*?value="([^"]*)" selected', page, re.DOTALL
    )
    texts = re.findall(r'<input type="text" id="([^"]+)" name="[^"]+" value="([^"]*)"', page)
    return dict(chosen + texts)


@pytest.mark.usefixtures("crowd")
def test_a_segment_with_a_deleted_list_says_so(admin: FlaskClient, database: Database) -> None:
    row = {"field": "list", "operator": "unsubscribed", "value": "gone"}
    with database.transaction() as session:
        given = {"match": "all", "conditions": [row]}
        session.add(Segment(name="Old", conditions=given, created_by="Ed", created_at=NOON))
    page = admin.get("/admin/segments/1")
    assert (page.status_code, "no longer exists" in page.text) == (200, True)
    assert (
        "Edit the segment first"
        in admin.post("/admin/segments/1/count", follow_redirects=True).text
    )
