"""The relationships of a party: adding, editing, ending and deleting them."""

from datetime import date

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from nif.database import Database
from nif.register.disclosure_decisions import disclose_relationship
from nif.register.models import (
    Materiality,
    Party,
    Relationship,
    RelationshipType,
    RelationshipVisibility,
)
from tests.conftest import NOON
from tests.register.entries import a_party, a_relationship
from tests.web.newsroom.staff import text_of

NEW = "/newsroom/register/1/relationships/new"
WHOLE = {
    "type": "customer",
    "our_side": "product",
    "our_side_name": "ROSTR",
    "since": "2024-03-01",
    "amount_band": "none",
}


@pytest.fixture(autouse=True)
def _party(database: Database) -> None:
    with database.transaction() as session:
        a_party(session, "X")


def the_relationship(database: Database) -> Relationship | None:
    with database.reading() as session:
        return session.scalars(select(Relationship)).one_or_none()


def test_a_relationship_is_added_with_the_rules_of_its_type(
    editor: FlaskClient, database: Database
) -> None:
    assert "A new relationship" in editor.get(NEW).text

    page = text_of(editor.post(NEW, data=WHOLE, follow_redirects=True).text)

    assert "X pays for ROSTR, which our parent company owns." in page
    assert "since 1 March 2024" in page
    made = the_relationship(database)
    assert made is not None
    assert made.changed_by_id is not None
    assert (made.materiality, made.visibility, made.lookback_months) == (
        Materiality.DEFAULT,
        RelationshipVisibility.MATCH_ONLY,
        12,
    )


def test_the_sentence_can_be_previewed_without_saving(
    editor: FlaskClient, database: Database
) -> None:
    page = text_of(editor.post(NEW, data={**WHOLE, "until": "2025-01-01", "show": "1"}).text)

    assert "X pays for ROSTR, which our parent company owns." in page
    assert "Until 2025, X paid for ROSTR, which our parent company owns." in page
    assert the_relationship(database) is None
    wrong = editor.post(NEW, data={**WHOLE, "our_side_name": "", "show": "1"})
    assert wrong.status_code == 422
    assert 'id="our_side_name-problem"' in wrong.text


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"type": ""}, "type"),
        ({"type": "rumour"}, "type"),
        ({"our_side": "owner"}, "our_side"),
        ({"our_side_name": ""}, "our_side_name"),
        ({"type": "board", "our_side": "account"}, "account_id"),
        ({"type": "board", "our_side": "account", "account_id": "9x"}, "account_id"),
        ({"type": "gift", "our_side": "nif"}, "detail"),
        ({"type": "other"}, "custom_sentence"),
        ({"since": "yesterday"}, "since"),
        ({"until": "2020-01-01"}, "until"),
        ({"lookback_months": "ten"}, "lookback_months"),
        ({"materiality": "never"}, "materiality"),
        ({"visibility": "secret"}, "visibility"),
        ({"amount_band": "much"}, "amount_band"),
        ({"evidence_url": "ftp://example.com"}, "evidence_url"),
    ],
)
def test_a_problem_is_shown_beside_its_field_and_typed_text_is_kept(
    editor: FlaskClient, database: Database, wrong: dict[str, str], field: str
) -> None:
    page = editor.post(NEW, data={**WHOLE, "custom_sentence": "", "detail": "", **wrong})

    assert page.status_code == 422
    assert f'id="{field}-problem"' in page.text
    if "since" not in wrong:
        assert 'value="2024-03-01"' in page.text
    assert the_relationship(database) is None


def test_a_relationship_is_changed_and_keeps_the_values_of_the_form(
    editor: FlaskClient, database: Database
) -> None:
    with database.transaction() as session:
        party = a_party(session, "Y")
        a_relationship(
            session, party, lookback_months=None, custom_sentence="<i>Y</i> is known to us."
        )

    page = editor.get("/newsroom/register/relationships/1").text
    assert '<option value="unlimited" selected>' in page
    assert "&lt;i&gt;Y&lt;/i&gt; is known to us." in page
    answer = editor.post(
        "/newsroom/register/relationships/1",
        data={
            "type": "sponsor",
            "our_side": "nif",
            "amount_band": "none",
            "version": "1",
            "lookback_months": "24",
        },
    )

    assert answer.status_code == 303
    changed = the_relationship(database)
    assert changed is not None
    assert (changed.type, changed.current_sentence) == (RelationshipType.SPONSOR, "Y sponsors us.")
    assert (changed.version, changed.lookback_months) == (2, 24)


def test_a_conflicting_save_keeps_all_typed_text(editor: FlaskClient, database: Database) -> None:
    with database.transaction() as session:
        a_relationship(session, a_party(session, "Y")).version = 3
    data = {**WHOLE, "our_side_name": "Jobs by ROSTR", "version": "2"}

    page = editor.post("/newsroom/register/relationships/1", data=data)

    assert page.status_code == 409
    assert 'value="Jobs by ROSTR"' in page.text
    assert 'name="version" value="3"' in page.text


def test_an_ended_relationship_is_listed_as_past(editor: FlaskClient, database: Database) -> None:
    with database.transaction() as session:
        a_relationship(session, a_party(session, "Y"))
    assert "End this relationship" in editor.get("/newsroom/register/relationships/1").text

    for wrong in ("", "2019-01-01", "soon"):
        page = editor.post("/newsroom/register/relationships/1/end", data={"ended": wrong})
        assert page.status_code == 422
        assert 'id="until-problem"' in page.text
    done = editor.post(
        "/newsroom/register/relationships/1/end",
        data={"ended": "2024-05-01"},
        follow_redirects=True,
    )

    page = text_of(done.text)
    assert "No known relationships." in page
    assert "Past relationships Until 2024, Y advertised with us." in page
    ended = the_relationship(database)
    assert ended is not None
    assert (ended.until, ended.last_disclosure_day) == (date(2024, 5, 1), date(2025, 5, 1))


def test_default_rules_follow_a_change_of_the_type(editor: FlaskClient, database: Database) -> None:
    with database.transaction() as session:
        a_relationship(session, a_party(session, "Y"), RelationshipType.GIFT, detail="a lamp")

    page = editor.get("/newsroom/register/relationships/1").text

    assert page.count('<option value="">Default</option>') == 3
    assert 'name="until" value=""' in page
    assert "Y gave us a lamp." in page
    assert page.count("selected>") == 3  # Type, side and amount.


def test_only_a_relationship_without_decisions_can_be_deleted(
    editor: FlaskClient, database: Database
) -> None:
    with database.transaction() as session:
        told = a_relationship(session, a_party(session, "Y"))
        a_relationship(session, session.get(Party, 2), RelationshipType.SPONSOR)
        disclose_relationship(session, 7, told, by=None, now=NOON)

    kept = editor.post("/newsroom/register/relationships/1/delete", follow_redirects=True)
    gone = editor.post("/newsroom/register/relationships/2/delete", follow_redirects=True)

    assert "so it cannot be deleted. End it instead." in kept.text
    assert "The relationship is deleted." in gone.text
    assert the_relationship(database) is not None
