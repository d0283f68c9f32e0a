"""The page before publishing: checks, overrides, review, schedule and embargo."""

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
from tests.web.newsroom.staff import signed_in, text_of, without_tokens
from tests.web.newsroom.test_stories import WHOLE, saved, the_story

OURS = {"origin": "owner"}


def in_days(days: int) -> str:
    return f"{utc_now() + timedelta(days=days):%Y-%m-%dT%H:%M}"


def test_an_open_check_links_to_its_field(editor: FlaskClient) -> None:
    address = saved(editor, money="", lead="")

    page = editor.get(f"{address}/publish").text

    assert "Not ready yet" in page
    assert f'href="{address}#money"' in page
    assert f'href="{address}#lead"' in page
    assert "Publish now" not in page
    form = editor.get(address).text
    assert 'id="money"' in form
    assert 'id="lead"' in form


def test_every_finding_links_to_an_existing_field(editor: FlaskClient) -> None:
    kept = {name: value for name, value in WHOLE.items() if name.endswith(("kind", "type"))}
    nothing = {**dict.fromkeys(WHOLE, ""), **kept, "headline": "A"}
    address = saved(editor, **nothing)

    page = editor.get(f"{address}/publish").text
    form = editor.get(address).text

    fields = {part.partition('"')[0] for part in page.split(f'href="{address}#')[1:]}
    assert len(fields) >= 7
    assert [field for field in fields if f'id="{field}"' not in form] == []


def test_a_story_is_scheduled_and_unscheduled(editor: FlaskClient, database: Database) -> None:
    address = saved(editor)

    editor.post(f"{address}/schedule", data={"publish_at": in_days(2), "edits": "0"})
    scheduled = editor.get(f"{address}/publish").text
    desk_page = text_of(editor.get("/newsroom/").text)
    editor.post(f"{address}/unschedule")

    assert "It is published automatically on" in scheduled
    assert "Scheduled Lumen Sync Opens Its Books" in desk_page
    assert the_story(database).state is StoryState.IN_REVIEW


@pytest.mark.parametrize("moment", ["", "soon", "2001-01-01T00:00", "9999-12-31T23:59"])
def test_an_invalid_time_is_reported_beside_its_field(
    editor: FlaskClient, database: Database, moment: str
) -> None:
    address = saved(editor)

    page = editor.post(f"{address}/schedule", data={"publish_at": moment})

    if moment.startswith("9999"):
        assert page.status_code in (303, 422)
        return
    assert page.status_code == 422
    assert 'aria-describedby="publish_at-problem"' in page.text or "publish_at" in page.text
    assert the_story(database).state is StoryState.DRAFT


def test_a_story_is_reviewed_and_returned(editor: FlaskClient, database: Database) -> None:
    address = saved(editor)

    editor.post(f"{address}/review")
    in_review = text_of(editor.get("/newsroom/").text)
    silent = editor.post(f"{address}/send-back", data={"remark": ""})
    editor.post(f"{address}/send-back", data={"remark": "Who <b>says</b> so?"})

    assert "In review Lumen Sync Opens Its Books" in in_review
    assert silent.status_code == 422
    assert the_story(database).state is StoryState.DRAFT
    assert "Who &lt;b&gt;says&lt;/b&gt; so?" in editor.get(f"{address}/publish").text


@pytest.mark.parametrize("role", [RoleName.AUTHOR, RoleName.EDITOR])
def test_who_asks_for_a_review_too_late_is_told_on_the_page_of_the_story(
    app: Flask, database: Database, role: RoleName
) -> None:
    author = signed_in(without_tokens(app), database, role)
    address = saved(author)
    with database.transaction() as session:
        story = session.scalars(select(Story)).one()
        story.state, story.publish_at = StoryState.SCHEDULED, utc_now()

    answer = author.post(f"{address}/review")

    assert (answer.status_code, answer.location) == (303, address)
    page = author.get(address)
    assert page.status_code == 200
    told = "Someone else changed the state of this story meanwhile. Nothing was changed."
    assert text_of(page.text).count(told) == 1
    assert text_of(page.text).count("Nothing was changed.") == 1


def test_a_change_to_a_published_story_is_saved_and_not_sent_for_review(
    app: Flask, database: Database
) -> None:
    author = signed_in(without_tokens(app), database, RoleName.AUTHOR)
    address = saved(author)
    with database.transaction() as session:
        story = session.scalars(select(Story)).one()
        story.state, story.first_published_at = StoryState.PUBLISHED, utc_now()

    change = {**WHOLE, "headline": "Changed", "edits": "0", "then": "review"}
    answer = author.post(address, data=change)

    assert (answer.status_code, answer.location) == (303, address)
    assert the_story(database).headline == "Changed"
    assert "A published story is not sent for review." in text_of(author.get(address).text)


def test_an_editor_cannot_override_a_check(editor: FlaskClient, database: Database) -> None:
    address = saved(editor, **OURS)

    answer = editor.post(f"{address}/override", data={"code": "G11", "reason": "x" * 30})

    assert answer.status_code == 403
    assert "Checks you can override" not in editor.get(f"{address}/publish").text
    assert editor.post(f"{address}/publish").status_code == 422
    with database.reading() as session:
        assert session.scalars(select(CheckOverride)).all() == []


def test_a_standards_editor_overrides_a_check_with_a_reason(
    editor: FlaskClient, database: Database
) -> None:
    address = saved(editor, **OURS)
    with database.transaction() as session:
        session.scalars(select(Account)).first().role = RoleName.ADMIN

    short = editor.post(f"{address}/override", data={"code": "G11", "reason": "because"})
    closed = editor.post(f"{address}/override", data={"code": "G19", "reason": "x" * 30})
    editor.post(f"{address}/override", data={"code": "G11", "reason": "It is news by any measure."})
    editor.post(f"{address}/publish")

    assert short.status_code == 422
    assert "because" in short.text
    assert closed.status_code == 422
    with database.reading() as session:
        made = session.scalars(select(CheckOverride)).one()
        assert (made.code, made.reason) == ("G11", "It is news by any measure.")
        assert session.scalars(select(Story)).one().state is StoryState.PUBLISHED
    page = editor.get(f"/articles/{the_story(database).slug}").text
    assert "The idea came from our owner." in page
    assert "The same person wrote and edited this story." in page


def test_declarations_come_back_as_entered(editor: FlaskClient) -> None:
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
    address = saved(editor, **given)

    form = editor.get(address).text

    assert 'value="pitched" checked' in form
    assert "Ann owns it.\nBea, too.</textarea>" in form
    assert 'id="ai_checked_tick" name="ai_checked" value="now"' not in form
    assert editor.get(f"{address}/publish").text.count("check it again") == 0
    editor.post(
        address, data={**WHOLE, **given, "edits": "0", "lead": "Else.", "ai_checked": "0000"}
    )
    assert "check it again" in editor.get(f"{address}/publish").text


def test_known_relationships_are_decided_on_the_publishing_page(
    app: Flask, editor: FlaskClient, database: Database
) -> None:
    with database.transaction() as session:
        party = a_party(session, "Lumen Sync")
        relationship = a_relationship(session, party, RelationshipType.COMPETITOR).id
    address = saved(editor)
    of = f"{address}/relationships/{relationship}"

    before = editor.get(f"{address}/publish").text
    short = editor.post(f"{of}/request-waiver", data={"reason": "no"})
    editor.post(f"{of}/request-waiver", data={"reason": "It only says that they exist."})
    mine = editor.get(f"{address}/publish").text
    theirs = signed_in(app, database, RoleName.ADMIN).get(f"{address}/publish").text
    alone = editor.post(f"{of}/confirm-waiver", follow_redirects=True).text
    editor.post(f"{of}/disclose")
    editor.post(f"{address}/publish")

    assert "not decided yet" in before
    assert "Publish now" not in before
    assert short.status_code == 422
    assert 'value="no"' in short.text
    assert "Confirm the waiver" not in mine
    assert "Confirm the waiver" in theirs
    assert "A waiver needs a second person" in alone
    page = editor.get(f"/articles/{the_story(database).slug}").text
    assert 'data-disclosure="relationship"' in page


def test_a_newly_named_party_requires_a_new_declaration(
    editor: FlaskClient, database: Database
) -> None:
    address = saved(editor)
    with database.transaction() as session:
        a_party(session, "Lumen Sync")

    stale = editor.get(f"{address}/publish").text
    editor.post(f"{address}/affirm")

    assert "the declaration still holds" in stale
    assert "Publish now" not in stale
    assert "Publish now" in editor.get(f"{address}/publish").text


def test_an_embargo_blocks_publishing_and_scheduling(
    editor: FlaskClient, database: Database
) -> None:
    address = saved(editor, embargo_until=in_days(2))

    form, page = editor.get(address).text, editor.get(f"{address}/publish").text
    now = editor.post(f"{address}/publish", data={"edits": "0"})
    early = editor.post(f"{address}/schedule", data={"publish_at": in_days(1), "edits": "0"})

    assert f'name="embargo_until" value="{in_days(2)}"' in form
    assert "Under embargo" in page
    assert "Publish now" not in page
    assert f'name="publish_at" value="{in_days(2)}"' in page
    assert now.status_code == early.status_code == 422
    assert "The embargo ends later." in early.text
    assert the_story(database).state is StoryState.DRAFT
    editor.post(f"{address}/schedule", data={"publish_at": in_days(2), "edits": "0"})
    assert the_story(database).state is StoryState.SCHEDULED


def test_an_invalid_embargo_is_reported_beside_its_field(editor: FlaskClient) -> None:
    answer = editor.post("/newsroom/stories/new", data={**WHOLE, "embargo_until": "at noon"})

    assert answer.status_code == 422
    assert 'id="embargo_until-problem"' in answer.text
    assert 'value="at noon"' in answer.text


def test_an_unnamed_source_is_known_to_another_editor_and_published_nowhere(
    editor: FlaskClient, database: Database
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

    address = saved(editor, story_type="report", **shy, **{"sources-1-known_to": me})
    own = editor.get(f"{address}/publish").text
    form = editor.get(address).text
    other = {**WHOLE, **shy, "story_type": "report", "sources-1-known_to": "Bea Ito"}
    editor.post(address, data={**other, "edits": "0"})
    editor.post(f"{address}/publish", data={"edits": "1"})

    assert "choose another editor" in own
    assert "<option>Bea Ito</option>" in form
    assert "Cy Sand" not in form
    slug = the_story(database).slug
    page = editor.get(f"/articles/{slug}").text
    data = editor.get(f"/articles/{slug}/transparency.json").text
    said = "One of our sources asked not to be named because they could lose their job."
    assert f'<li data-disclosure="sources_unnamed">{said}' in page
    assert "A manager at a label" in data
    assert "Bea Ito" not in page + data
