"""Reader reports in the newsroom: open ones first, each answered once."""

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from nif.database import Database
from nif.mail.transactional import TransactionalEmail
from nif.stories.drafts import get_story
from nif.stories.reader_reports import ReaderReport, ReportKind, create_reader_report
from tests.conftest import NOON
from tests.factories import a_story

ANSWER = {"verdict": "upheld", "answer": "You are right.\nThank you."}


def a_report(
    database: Database, text: str = "It was £4m.", contact: str | None = "ann@example.com"
) -> ReaderReport:
    with database.transaction() as session:
        revision = a_story(session)
        return create_reader_report(
            session, revision, ReportKind.ERROR, text, contact=contact, now=NOON
        )


def queued_emails(database: Database) -> list[TransactionalEmail]:
    with database.reading() as session:
        return list(session.scalars(select(TransactionalEmail)))


def test_open_reports_come_first_oldest_first(editor: FlaskClient, database: Database) -> None:
    assert "No report is waiting." in editor.get("/newsroom/reports").text
    for text in ("The first", "The second", "The third"):
        a_report(database, text)
    editor.post("/newsroom/reports/1", data={**ANSWER, "verdict": "duplicate"})

    page = editor.get("/newsroom/reports").text

    assert page.index("The second") < page.index("The third") < page.index("The first")
    assert "ann@" not in page


def test_reports_are_paginated(editor: FlaskClient, database: Database) -> None:
    for n in range(21):
        a_report(database, f"Number {n:02}")

    first = editor.get("/newsroom/reports").text
    assert "reports?shown=open&amp;after=20" in first
    assert "Number 20" not in first
    assert "Number 20" in editor.get("/newsroom/reports?shown=open&after=20").text
    assert editor.get("/newsroom/reports?shown=open&after=x").status_code == 404


def test_answered_reports_have_pages_of_their_own(editor: FlaskClient, database: Database) -> None:
    a_report(database, "Open")
    for n in range(21):
        report = a_report(database, f"Number {n:02}")
        editor.post(f"/newsroom/reports/{report.id}", data={**ANSWER, "verdict": "duplicate"})

    first = editor.get("/newsroom/reports").text
    assert "reports?shown=answered&amp;after=3" in first
    assert "Number 00" not in first
    second = editor.get("/newsroom/reports?shown=answered&after=3").text
    assert "Number 00" in second
    assert "Number 01" not in second
    assert ">Open<" not in second


def test_an_upheld_report_is_answered_once_by_mail_and_leads_to_the_note(
    editor: FlaskClient, database: Database
) -> None:
    made = a_report(database)
    address = f"/newsroom/reports/{made.id}"

    answer = editor.post(address, data=ANSWER)
    again = editor.post(address, data=ANSWER, follow_redirects=True)

    assert answer.location.endswith(f"/newsroom/stories/{made.story_id}/revise?report={made.id}")
    page = editor.get(answer.location).text
    assert "It was £4m." in page
    assert 'name="reported_by_reader" value="1" checked' in page
    assert "Someone else has already answered this report." in again.text
    (email,) = queued_emails(database)
    assert email.address == "ann@example.com"
    assert "You are right." in email.message["text"]
    with database.reading() as session:
        assert session.get_one(ReaderReport, made.id).contact is None


@pytest.mark.parametrize("verdict", ["not_upheld", "duplicate", "partly"])
def test_an_answer_without_a_contact_is_kept_and_not_mailed(
    editor: FlaskClient, database: Database, verdict: str
) -> None:
    made = a_report(database, contact=None)

    editor.post(f"/newsroom/reports/{made.id}", data={**ANSWER, "verdict": verdict})

    assert queued_emails(database) == []
    assert "You are right." in editor.get(f"/newsroom/reports/{made.id}").text


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"verdict": ""}, "verdict"), ({"answer": " "}, "answer"), ({"answer": "x" * 2001}, "answer")],
)
def test_an_incomplete_answer_is_refused_and_nothing_is_lost(
    editor: FlaskClient, database: Database, changes: dict[str, str], field: str
) -> None:
    made = a_report(database)

    page = editor.post(f"/newsroom/reports/{made.id}", data={**ANSWER, **changes})

    assert page.status_code == 422
    assert f'id="{field}-problem"' in page.text
    assert queued_emails(database) == []


def test_an_unknown_report_shows_the_error_page(editor: FlaskClient) -> None:
    assert editor.get("/newsroom/reports/9").status_code == 404
    assert editor.post("/newsroom/reports/9", data=ANSWER).status_code == 404


def test_the_answer_names_the_story_as_its_reader_saw_it(
    editor: FlaskClient, database: Database
) -> None:
    made = a_report(database)
    with database.transaction() as session:
        get_story(session, made.story_id).headline = "Nobody Has Read This Yet"

    page = editor.get(f"/newsroom/reports/{made.id}").text
    editor.post(f"/newsroom/reports/{made.id}", data=ANSWER)

    assert "Nobody Has Read This Yet" not in page + str(queued_emails(database)[0].message)
