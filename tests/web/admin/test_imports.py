"""Imports of subscribers by the admin pages."""

from io import BytesIO
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from nif.accounts.audit_log import AuditEntry
from nif.database import Database
from nif.imports.models import ImportRun
from nif.jobs.worker import Worker
from nif.services import Services
from nif.settings import Settings
from nif.subscriptions.lists import get_list
from tests.factories import a_list
from tests.web.newsroom.staff import text_of

FILE = b"E-Mail;Status\nann@example.com;active\nbea@example.com;unsubscribed\nnobody;active\n"
CONSENT_SOURCE = "They signed up on our old site, with a confirmation by mail."
AT = "/admin/lists/daily/import"
CHOICES = {
    "encoding": "utf-8",
    "separator": "semicolon",
    "has_header": "on",
    "column_email": "0",
    "column_status": "1",
    "consent_source": CONSENT_SOURCE,
    "confirmed": "yes",
}


@pytest.fixture
def daily(database: Database) -> None:
    with database.transaction() as session:
        a_list(session)


def upload(admin: FlaskClient, data: bytes, name: str = "readers.csv") -> str:
    """Upload a file; returns the address of its import."""
    answer = admin.post(AT, data={"file": (BytesIO(data), name)})
    assert answer.status_code == 303, text_of(answer.text)
    return str(answer.location)


@pytest.mark.usefixtures("daily")
def test_a_file_is_previewed_checked_imported_exported_and_undone(
    admin: FlaskClient, database: Database, services: Services
) -> None:
    worker = Worker(services)
    at = upload(admin, FILE)
    page = admin.get(at).text
    assert "Semicolon ;" in page
    assert "Nothing is imported yet" in page

    checked = admin.post(at, data={**CHOICES, "check": "1"}, follow_redirects=True)
    assert "Checking" in checked.text
    worker.run("run_imports")
    page = text_of(admin.get(at).text)
    assert "What would happen The rows of the file New 1" in page
    assert "Skipped 1" in page
    assert "nobody Line 4" in page

    assert "Running" in admin.post(f"{at}/start", follow_redirects=True).text
    assert admin.get(f"{at}/progress").text.lstrip().startswith("<div data-phase")
    worker.run("run_imports")
    assert "What happened The rows of the file New 1" in text_of(admin.get(at).text)
    assert "4,nobody," in admin.get(f"{at}/report.csv").text
    exported = admin.post("/admin/lists/daily/export.csv")
    assert exported.text.count("@example.com") == 2
    assert "attachment" in exported.headers["Content-Disposition"]

    assert "Undoing" in admin.post(f"{at}/undo", follow_redirects=True).text
    worker.run("run_imports")
    assert "2 subscribers are restored to their state before the import" in text_of(
        admin.get(at).text
    )
    with database.reading() as session:
        assert get_list(session, "daily").confirmed_count == 0
        assert session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)).all()[-3:] == [
            "import_started",
            "list_exported",
            "import_undone",
        ]
    assert "Undone" in admin.get(AT).text


@pytest.mark.usefixtures("daily")
@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"consent_source": "short"}, "consent_source"),
        ({"confirmed": ""}, "confirmed"),
        ({"encoding": "ebcdic"}, "encoding"),
        ({"separator": "x"}, "separator"),
        ({"column_email": ""}, "column_email"),
    ],
)
def test_each_problem_is_shown_beside_its_field_and_input_is_kept(
    admin: FlaskClient, wrong: dict[str, str], field: str
) -> None:
    at = upload(admin, FILE)

    answer = admin.post(at, data={**CHOICES, **wrong, "check": "1"})

    assert answer.status_code == 422
    assert f'id="{field}-problem"' in answer.text
    assert wrong.get("consent_source", CONSENT_SOURCE) in answer.text


@pytest.mark.usefixtures("daily")
def test_changed_choices_refresh_the_preview(admin: FlaskClient, database: Database) -> None:
    at = upload(admin, "email,name\nzoe@example.com,Zoë\n".encode("cp1252"))
    assert "Zoë" in admin.get(at).text

    answer = admin.post(at, data={**CHOICES, "encoding": "utf-16-le", "column_status": ""})

    assert answer.status_code == 200
    assert "Zoë" not in answer.text
    with database.reading() as session:
        assert session.scalars(select(ImportRun.encoding)).one() == "utf-16-le"


@pytest.mark.usefixtures("daily")
def test_a_file_that_is_not_a_table_is_refused_and_deleted(
    admin: FlaskClient, settings: Settings
) -> None:
    for data, message in (
        (b"PK\x03\x04..", "Excel workbook"),
        (b"", "empty"),
        (b"Hello", "no column"),
    ):
        answer = admin.post(AT, data={"file": (BytesIO(data), "x.csv")})
        assert answer.status_code == 422
        assert message in answer.text
    assert "Choose a file." in admin.post(AT, data={}).text
    assert not any(Path(settings.imports).glob("*"))


@pytest.mark.usefixtures("daily")
def test_an_unchecked_import_does_not_start_and_belongs_to_its_list_alone(
    admin: FlaskClient, database: Database
) -> None:
    with database.transaction() as session:
        a_list(session, "weekly")
    at = upload(admin, b"email\nann@example.com\n", "<b>x</b>.csv")

    answer = admin.post(f"{at}/start", follow_redirects=True)

    assert "has to be checked before it is imported. Nothing was changed." in answer.text
    assert "<b>x</b>" not in answer.text
    assert admin.get(at.replace("daily", "weekly")).status_code == 404
