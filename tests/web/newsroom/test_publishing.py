"""The page between a draft and its readers."""

from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from nif.accounts.models import Account, RoleName
from nif.clock import utc_now
from nif.database import Database
from nif.register.models import RelationshipType
from nif.stories.models import CheckOverride, Story, StoryState
from tests.factories import an_account
from tests.register.entries import a_party, a_relationship
from tests.web.newsroom.staff import signed_in, text_of
from tests.web.newsroom.test_stories import WHOLE, saved, the_story

OURS = {"origin": "owner"}


def in_days(days: int) -> str:
    return f"{utc_now() + timedelta(days=days):%Y-%m-%dT%H:%M}"


def test_what_is_missing_leads_to_its_field(desk: FlaskClient) -> None:
    address = saved(desk, money="", lead="")

    page = desk.get(f"{address}/publish").text

    assert "Not ready yet" in page
    assert f'href="{address}#money"' in page
    assert f'href="{address}#lead"' in page
    assert "Publish now" not in page
    form = desk.get(address).text
    assert 'id="money"' in form
    assert 'id="lead"' in form


def test_every_finding_leads_to_a_field_that_is_there(desk: FlaskClient) -> None:
    kept = {name: value for name, value in WHOLE.items() if name.endswith(("kind", "type"))}
    nothing = {**dict.fromkeys(WHOLE, ""), **kept, "headline": "A"}
    address = saved(desk, **nothing)

    page = desk.get(f"{address}/publish").text
    form = desk.get(address).text

    fields = {part.partition('"')[0] for part in page.split(f'href="{address}#')[1:]}
    assert len(fields) >= 7
    assert [field for field in fields if f'id="{field}"' not in form] == []


def test_a_story_is_scheduled_and_taken_off(desk: FlaskClient, database: Database) -> None:
    address = saved(desk)

    desk.post(f"{address}/schedule", data={"publish_at": in_days(2), "edits": "0"})
    scheduled = desk.get(f"{address}/publish").text
    desk_page = text_of(desk.get("/newsroom/").text)
    desk.post(f"{address}/unschedule")

    assert "It is published automatically on" in scheduled
    assert "Scheduled Lumen Sync Opens Its Books" in desk_page
    assert the_story(database).state is StoryState.IN_REVIEW


@pytest.mark.parametrize("moment", ["", "soon", "2001-01-01T00:00", "9999-12-31T23:59"])
def test_a_moment_that_is_none_is_told_beside_its_field(
    desk: FlaskClient, database: Database, moment: str
) -> None:
    address = saved(desk)

    page = desk.post(f"{address}/schedule", data={"publish_at": moment})

    if moment.startswith("9999"):
        assert page.status_code in (303, 422)
        return
    assert page.status_code == 422
    assert 'aria-describedby="publish_at-problem"' in page.text or "publish_at" in page.text
    assert the_story(database).state is StoryState.DRAFT


def test_a_story_is_asked_to_be_reviewed_and_sent_back(
    desk: FlaskClient, database: Database
) -> None:
    address = saved(desk)

    desk.post(f"{address}/review")
    in_review = text_of(desk.get("/newsroom/").text)
    silent = desk.post(f"{address}/send-back", data={"remark": ""})
    desk.post(f"{address}/send-back", data={"remark": "Who <b>says</b> so?"})

    assert "In review Lumen Sync Opens Its Books" in in_review
    assert silent.status_code == 422
    assert the_story(database).state is StoryState.DRAFT
    assert "Who &lt;b&gt;says&lt;/b&gt; so?" in desk.get(f"{address}/publish").text


def test_an_editor_may_not_open_a_gate(desk: FlaskClient, database: Database) -> None:
    address = saved(desk, **OURS)

    answer = desk.post(f"{address}/override", data={"code": "G11", "reason": "x" * 30})

    assert answer.status_code == 403
    assert "Checks you can override" not in desk.get(f"{address}/publish").text
    assert desk.post(f"{address}/publish").status_code == 422
    with database.reading() as session:
        assert session.scalars(select(CheckOverride)).all() == []


def test_whoever_may_decide_opens_a_gate_for_a_reason(
    desk: FlaskClient, database: Database
) -> None:
    address = saved(desk, **OURS)
    with database.transaction() as session:
        session.scalars(select(Account)).first().role = RoleName.ADMIN

    short = desk.post(f"{address}/override", data={"code": "G11", "reason": "because"})
    closed = desk.post(f"{address}/override", data={"code": "G19", "reason": "x" * 30})
    desk.post(f"{address}/override", data={"code": "G11", "reason": "It is news by any measure."})
    desk.post(f"{address}/publish")

    assert short.status_code == 422
    assert "because" in short.text
    assert closed.status_code == 422
    with database.reading() as session:
        made = session.scalars(select(CheckOverride)).one()
        assert (made.code, made.reason) == ("G11", "It is news by any measure.")
        assert session.scalars(select(Story)).one().state is StoryState.PUBLISHED
    page = desk.get(f"/articles/{the_story(database).slug}").text
    assert "The idea came from our owner." in page
    assert "The same person wrote and edited this story." in page


def test_answers_come_back_as_they_were_given(desk: FlaskClient) -> None:
    given = {
        "origin": "pitched",
        "origin_by": "Palisade",
        "relationships": "declared",
        "relationship_sentences": "Ann owns it\nBea, too.",
        "ai": "assisted",
        "ai_tasks": "a summary",
        "ai_tools": "Scribe 2",
        "ai_checked": "now",
    }
    address = saved(desk, **given)

    form = desk.get(address).text

    assert 'value="pitched" checked' in form
    assert "Ann owns it.\nBea, too.</textarea>" in form
    assert 'id="ai_checked_tick" name="ai_checked" value="now"' not in form
    assert desk.get(f"{address}/publish").text.count("check it again") == 0
    desk.post(address, data={**WHOLE, **given, "edits": "0", "lead": "Else.", "ai_checked": "0000"})
    assert "check it again" in desk.get(f"{address}/publish").text


def test_what_is_on_record_is_decided_on_the_page(
    app: Flask, desk: FlaskClient, database: Database
) -> None:
    with database.transaction() as session:
        party = a_party(session, "Lumen Sync")
        relationship = a_relationship(session, party, RelationshipType.COMPETITOR).id
    address = saved(desk)
    of = f"{address}/relationships/{relationship}"

    before = desk.get(f"{address}/publish").text
    short = desk.post(f"{of}/request-waiver", data={"reason": "no"})
    desk.post(f"{of}/request-waiver", data={"reason": "It only says that they exist."})
    mine = desk.get(f"{address}/publish").text
    theirs = signed_in(app, database, RoleName.ADMIN).get(f"{address}/publish").text
    alone = desk.post(f"{of}/confirm-waiver", follow_redirects=True).text
    desk.post(f"{of}/disclose")
    desk.post(f"{address}/publish")

    assert "not decided yet" in before
    assert "Publish now" not in before
    assert short.status_code == 422
    assert 'value="no"' in short.text
    assert "Confirm the waiver" not in mine
    assert "Confirm the waiver" in theirs
    assert "A waiver needs a second person" in alone
    page = desk.get(f"/articles/{the_story(database).slug}").text
    assert 'data-disclosure="relationship"' in page


def test_a_new_name_asks_for_the_answer_once_more(desk: FlaskClient, database: Database) -> None:
    address = saved(desk)
    with database.transaction() as session:
        a_party(session, "Lumen Sync")

    stale = desk.get(f"{address}/publish").text
    desk.post(f"{address}/affirm")

    assert "the declaration still holds" in stale
    assert "Publish now" not in stale
    assert "Publish now" in desk.get(f"{address}/publish").text


def test_an_embargo_holds_now_and_on_the_schedule(desk: FlaskClient, database: Database) -> None:
    address = saved(desk, embargo_until=in_days(2))

    form, page = desk.get(address).text, desk.get(f"{address}/publish").text
    now = desk.post(f"{address}/publish", data={"edits": "0"})
    early = desk.post(f"{address}/schedule", data={"publish_at": in_days(1), "edits": "0"})

    assert f'name="embargo_until" value="{in_days(2)}"' in form
    assert "Under embargo" in page
    assert "Publish now" not in page
    assert f'name="publish_at" value="{in_days(2)}"' in page
    assert now.status_code == early.status_code == 422
    assert "The embargo ends later." in early.text
    assert the_story(database).state is StoryState.DRAFT
    desk.post(f"{address}/schedule", data={"publish_at": in_days(2), "edits": "0"})
    assert the_story(database).state is StoryState.SCHEDULED


def test_an_embargo_that_is_none_is_told_beside_its_field(desk: FlaskClient) -> None:
    answer = desk.post("/newsroom/stories/new", data={**WHOLE, "embargo_until": "at noon"})

    assert answer.status_code == 422
    assert 'id="embargo_until-problem"' in answer.text
    assert 'value="at noon"' in answer.text


def test_an_unnamed_source_is_known_to_another_editor_and_named_nowhere(
    desk: FlaskClient, database: Database
) -> None:
    with database.transaction() as session:
        me = session.scalars(select(Account)).one().name
        an_account(session, RoleName.EDITOR, email="bea@example.com").name = "Bea Ito"
        an_account(session, RoleName.AUTHOR, email="cy@example.com").name = "Cy Sand"
    shy = {
        "sources-1-kind": "interview",
        "sources-1-publisher": "A manager at a label",
        "sources-1-unnamed_because": "they could lose their job.",
    }

    address = saved(desk, story_type="report", **shy, **{"sources-1-known_to": me})
    own = desk.get(f"{address}/publish").text
    form = desk.get(address).text
    other = {**WHOLE, **shy, "story_type": "report", "sources-1-known_to": "Bea Ito"}
    desk.post(address, data={**other, "edits": "0"})
    desk.post(f"{address}/publish", data={"edits": "1"})

    assert "choose another editor" in own
    assert "<option>Bea Ito</option>" in form
    assert "Cy Sand" not in form
    slug = the_story(database).slug
    page = desk.get(f"/articles/{slug}").text
    data = desk.get(f"/articles/{slug}/transparency.json").text
    said = "One of our sources asked not to be named because they could lose their job."
    assert f'<li data-disclosure="sources_unnamed">{said}' in page
    assert "A manager at a label" in data
    assert "Bea Ito" not in page + data
