"""Preview of the next digest, and a test copy of it."""

from flask.testing import FlaskClient
from sqlalchemy import select

from nif.accounts.audit_log import AuditEntry
from nif.database import Database
from nif.mail.transactional import TransactionalEmail
from nif.sends.models import Send
from tests.factories import a_list
from tests.web.newsroom.staff import text_of

PAGE = "/admin/lists/daily/preview"


def test_the_preview_shows_the_email_with_links_that_change_nothing(
    admin: FlaskClient, news: None
) -> None:
    page, body = admin.get(PAGE), admin.get(f"{PAGE}/body")

    assert "Fresh From the Press" in text_of(page.text)
    assert "Fresh From the Press" in body.text
    assert "/unsubscribe/" not in page.text + body.text
    assert "%nif." not in page.text + body.text
    assert "frame-ancestors 'self'" in body.headers["Content-Security-Policy"]
    assert "script-src" not in body.headers["Content-Security-Policy"]


def test_a_test_copy_goes_to_the_admin_alone(
    admin: FlaskClient, database: Database, news: None
) -> None:
    answer = admin.post(f"{PAGE}/test", follow_redirects=True)

    assert "A test copy is on its way" in text_of(answer.text)
    with database.reading() as session:
        (email,) = session.scalars(select(TransactionalEmail))
        assert email.message["subject"].startswith("[Test] ")
        assert email.address in answer.text
        assert session.scalars(select(Send)).all() == []
        assert (
            session.scalar(
                select(AuditEntry.subject_id).where(AuditEntry.action == "digest_tested")
            )
            == "daily"
        )


def test_without_new_stories_there_is_no_preview(admin: FlaskClient, database: Database) -> None:
    with database.transaction() as session:
        a_list(session)

    assert "No new stories yet" in admin.get(PAGE).text
    assert admin.get(f"{PAGE}/body").status_code == 404
    assert "no copy was sent" in admin.post(f"{PAGE}/test", follow_redirects=True).text
    with database.reading() as session:
        assert session.scalars(select(TransactionalEmail)).all() == []
