"""Every action of the newsroom is recorded in the audit log, with a readable label."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from nif.accounts.audit_log import AuditEntry
from nif.accounts.models import RoleName
from nif.database import Database
from nif.register.models import RelationshipType
from nif.stories.models import Revision
from nif.stories.reader_reports import ReportKind, create_reader_report
from tests.conftest import NOON
from tests.register.entries import a_party, a_relationship
from tests.web.newsroom.staff import enrolled, sign_in, text_of
from tests.web.newsroom.test_revisions import CORRECTION
from tests.web.newsroom.test_stories import WHOLE, saved

REASON = {"reason": "It only says that they exist."}


@pytest.fixture
def ann(app: Flask, database: Database, admin: FlaskClient) -> FlaskClient:
    """An editor."""
    return sign_in(app, enrolled(app, database, RoleName.EDITOR, "ann@example.com"))


@pytest.fixture
def bea(app: Flask, database: Database, admin: FlaskClient) -> FlaskClient:
    """Another editor."""
    return sign_in(app, enrolled(app, database, RoleName.EDITOR, "bea@example.com"))


@pytest.fixture
def rival(database: Database) -> int:
    """A relationship with a party that the story names."""
    with database.transaction() as session:
        return a_relationship(
            session, a_party(session, "Lumen Sync"), RelationshipType.COMPETITOR
        ).id


def audit_entries(database: Database) -> list[AuditEntry]:
    with database.reading() as session:
        return list(session.scalars(select(AuditEntry).order_by(AuditEntry.id)))


def actions(database: Database) -> list[str]:
    recorded = [entry.action for entry in audit_entries(database)]
    return [action for action in recorded if action != "signed_in"]


def test_actions_on_a_draft_are_recorded(
    admin: FlaskClient, ann: FlaskClient, bea: FlaskClient, rival: int, database: Database
) -> None:
    ann.post("/newsroom/stories/autosave", data={"lead": "It began."})
    address = saved(ann)
    of = f"{address}/relationships/{rival}"
    ann.post(f"{of}/request-waiver", data={"reason": "no"})
    ann.post(f"{of}/request-waiver", data=REASON)
    ann.post(f"{of}/confirm-waiver")
    bea.post(f"{of}/confirm-waiver")
    ann.post(f"{of}/disclose")
    ann.post(f"{address}/affirm")
    ann.post(f"{address}/review")
    ann.post(f"{address}/review")

    assert actions(database) == [
        "story_drafted",
        "story_drafted",
        "waiver_requested",
        "waiver_confirmed",
        "relationship_disclosed",
        "relationships_affirmed",
        "review_requested",
    ]
    page = text_of(admin.get("/admin/audit-log").text)
    assert "confirmed a disclosure waiver in story 2" in page
    assert "party: Lumen Sync; reason: It only says that they exist." in page


def test_a_review_requested_from_the_form_is_recorded(ann: FlaskClient, database: Database) -> None:
    ann.post("/newsroom/stories/new", data={**WHOLE, "then": "review"})

    assert actions(database) == ["story_drafted", "review_requested"]


def test_actions_on_a_published_story_are_recorded(
    admin: FlaskClient, ann: FlaskClient, bea: FlaskClient, database: Database
) -> None:
    address = saved(ann)
    ann.post(f"{address}/publish")
    with database.transaction() as session:
        revision = session.scalars(select(Revision)).one()
        create_reader_report(session, revision, ReportKind.ERROR, "Four.", contact=None, now=NOON)
    ann.post("/newsroom/reports/1", data={"verdict": "upheld", "answer": "Right."})
    ann.post(address, data={**WHOLE, "lead": "It has let four in.", "edits": "1"})
    bea.post(f"{address}/confirm-style", data={"seen_edits": "2"})
    ann.post(f"{address}/revise", data={**CORRECTION, "incorrect_text": ""})
    ann.post(f"{address}/revise", data=CORRECTION)

    assert actions(database)[2:] == ["report_answered", "style_confirmed", "story_revised"]
    page = text_of(admin.get("/admin/audit-log").text)
    assert "published a change to story 1" in page
    assert "kind: Correction; summary: The number of songs; version: 2" in page
    assert 'href="/newsroom/reports/1"' in admin.get("/admin/audit-log").text


def test_actions_on_the_register_are_recorded(
    admin: FlaskClient, ann: FlaskClient, rival: int, database: Database
) -> None:
    of = f"/newsroom/register/relationships/{rival}"
    ann.post("/newsroom/register/new", data={"kind": "company", "name": "Ombra"})
    ann.post("/newsroom/register/2/edit", data={"kind": "company", "name": "Ombra", "version": "9"})
    ann.post("/newsroom/register/2/edit", data={"kind": "company", "name": "O", "version": "1"})
    ann.post("/newsroom/register/2/delete")
    ann.post(f"{of}/end", data={"ended": "2021-01-01"})
    ann.post(f"{of}/delete")

    assert actions(database) == [
        "party_added",
        "party_changed",
        "party_deleted",
        "relationship_ended",
        "relationship_deleted",
    ]
    page = text_of(admin.get("/admin/audit-log").text)
    assert "deleted a relationship of party 1" in page
    assert "name: Lumen Sync; sentence:" in page
