"""Archiving, restoring and deleting a list."""

from flask.testing import FlaskClient
from sqlalchemy import select

from nif.accounts.audit_log import AuditEntry
from nif.database import Database
from nif.subscriptions.models import MailingList
from tests.factories import a_list, a_plain_send
from tests.web.newsroom.staff import text_of


def test_a_list_with_subscribers_can_be_archived_and_restored_but_not_deleted(
    admin: FlaskClient, database: Database
) -> None:
    with database.transaction() as session:
        send = a_plain_send(session, count=3)
        at = f"/admin/lists/{send.mailing_list.slug}"

    confirmation = admin.get(f"{at}/archive")
    assert "The 3 confirmed subscribers stay on it" in text_of(confirmation.text)
    assert "A send is in progress, and archiving pauses it." in text_of(confirmation.text)
    assert f'href="/admin/sends/{send.id}"' in confirmation.text

    page = text_of(admin.post(f"{at}/archive", follow_redirects=True).text)
    assert "The list is archived." in page
    assert "A send that was under way is paused: resume or cancel it." in page
    assert "Resume to send the rest" in text_of(admin.get(f"/admin/sends/{send.id}").text)
    assert "An archived list has no next digest." in page
    assert "Archived since" in text_of(admin.get("/admin/").text)
    assert "archived" in text_of(admin.get(f"{at}/send").text)
    assert "This list is archived, so it gets no more digests." in text_of(
        admin.post(f"{at}/send", follow_redirects=True).text
    )
    again = admin.post(f"{at}/archive", follow_redirects=True)
    assert "archived already. Nothing was changed." in text_of(again.text)

    refused = text_of(admin.get(f"{at}/delete").text)
    assert "cannot be deleted" in refused
    assert "current and former subscribers, editions" in refused
    admin.post(f"{at}/delete")
    assert "The list is restored" in admin.post(f"{at}/unarchive", follow_redirects=True).text
    with database.reading() as session:
        assert session.scalars(select(MailingList.archived_at)).one() is None
        actions = session.scalars(
            select(AuditEntry.action).where(AuditEntry.subject_kind == "list")
        ).all()
    assert actions == ["list_archived", "list_unarchived"]


def test_a_list_without_history_is_deleted(admin: FlaskClient, database: Database) -> None:
    with database.transaction() as session:
        a_list(session)

    assert "Nobody ever subscribed to it" in text_of(admin.get("/admin/lists/daily/delete").text)
    page = admin.post("/admin/lists/daily/delete", follow_redirects=True)

    assert "NIF Daily is deleted." in page.text
    assert admin.get("/admin/lists/daily").status_code == 404
    with database.reading() as session:
        assert (
            session.scalars(select(AuditEntry.action).order_by(AuditEntry.id.desc())).first()
            == "list_deleted"
        )
