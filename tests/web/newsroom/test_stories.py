"""The story list and the story form, from a blank form to a published story."""

import re
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from nif.database import Database
from nif.stories.corrections import NoteInput, StoryChange, revise_story
from nif.stories.drafts import get_story, save_draft
from nif.stories.models import ChangeKind, Story, StoryState
from tests.conftest import NOON
from tests.factories import a_draft, a_story, an_account, story_copy
from tests.register.entries import a_party
from tests.web.newsroom.staff import text_of

WHOLE = {
    "headline": "Lumen Sync Opens Its Books",
    "dek": "Auditors may look",
    "lead": "Lumen Sync has let auditors in.",
    "byline": "Jo Reyes",
    "story_type": "brief",
    "tags": "Deals, Royalties",
    "sections-0-label": "Why it matters:",
    "sections-0-bullets": "- Nobody had before.\r\n\r\n• It may spread.",
    "sections-1-label": "",
    "sections-1-bullets": "",
    "sources-0-kind": "publication",
    "sources-0-publisher": "The Turntable Gazette",
    "sources-0-url": "https://example.com/lumen",
    "sources-1-kind": "publication",
    "sources-1-publisher": "",
    "reason_code": "topic_news",
    "reason_subject": "royalty audits",
    "origin": "monitoring",
    "relationships": "none",
    "money": "none",
    "ai": "none",
}


def saved(editor: FlaskClient, **changes: str) -> str:
    """Save a draft from the form, and return its address."""
    answer = editor.post("/newsroom/stories/new", data={**WHOLE, **changes})
    assert answer.status_code == 303, text_of(answer.text)
    return answer.location


def the_story(database: Database) -> Story:
    with database.reading() as session:
        story = session.scalars(select(Story)).one()
        assert [len(story.sources), len(story.tags)]
        return story


def test_an_empty_newsroom_says_what_to_do(editor: FlaskClient) -> None:
    page = text_of(editor.get("/newsroom/").text)

    assert "No drafts. Write a story" in page
    assert "Nothing is published yet." in page


def test_drafts_come_first_and_show_open_checks(editor: FlaskClient, database: Database) -> None:
    with database.transaction() as session:
        a_story(session, headline="Before readers")
        a_draft(session, headline="Whole")
        a_draft(session, headline="Half", lead="", sources=[])

    page = text_of(editor.get("/newsroom/").text)

    assert page.index("Half") < page.index("Whole") < page.index("Before readers")
    assert "Not ready yet" in page
    assert "Ready to publish" in page


def test_stories_are_paginated(editor: FlaskClient, database: Database) -> None:
    with database.transaction() as session:
        for n in range(21):
            a_draft(session, headline=f"Draft {n:02}").updated_at = NOON + timedelta(minutes=n)

    first = editor.get("/newsroom/")
    assert "Draft 20" in first.text
    assert "Draft 00" not in first.text
    older = first.text.partition('href="/newsroom/?state=draft&amp;after')[2].partition('"')[0]
    second = editor.get(f"/newsroom/?state=draft&after{older}")
    assert "Draft 00" in second.text
    assert "Draft 11" not in second.text
    assert editor.get("/newsroom/?after=nonsense").status_code == 404


def test_a_story_is_drafted_previewed_and_published(
    editor: FlaskClient, database: Database
) -> None:
    address = saved(editor)
    story = the_story(database)
    bullets = ["Nobody had before.", "It may spread."]
    assert story.sections == [{"label": "Why it matters:", "bullets": bullets, "picture": None}]
    assert [(s.publisher, s.seen_by_us) for s in story.sources] == [("The Turntable Gazette", True)]
    assert [tag.name for tag in story.tags] == ["Deals", "Royalties"]

    preview = editor.get(f"{address}/preview")
    assert "It is not public." in preview.text
    assert "We covered it because it’s news regarding royalty audits." in preview.text
    assert editor.get(f"/articles/{story.slug}").status_code == 404

    assert "Publish this story?" in editor.get(f"{address}/publish").text
    published = editor.post(f"{address}/publish", data={"edits": "0"}, follow_redirects=True)
    assert f'<a href="/articles/{story.slug}">' in published.text
    assert "Lumen Sync Opens Its Books" in editor.get(f"/articles/{story.slug}").text


def test_a_draft_may_be_unfinished_and_each_check_links_to_its_field(editor: FlaskClient) -> None:
    address = saved(editor, lead="", **{"sources-0-publisher": "", "sources-0-url": ""})

    refused = editor.post(f"{address}/publish")

    assert refused.status_code == 422
    assert f'href="{address}#lead"' in refused.text
    assert "A story needs a lead" in refused.text
    assert f'href="{address}#sources"' in refused.text
    assert 'id="sources"' in editor.get(address).text


@pytest.mark.parametrize(("then", "place"), [("preview", "/preview"), ("publish", "/publish")])
def test_saving_redirects_to_the_page_that_the_button_names(
    editor: FlaskClient, then: str, place: str
) -> None:
    assert saved(editor, then=then).endswith(place)


@pytest.mark.parametrize("what", ["section", "source"])
def test_adding_a_group_loses_and_saves_nothing(
    editor: FlaskClient, database: Database, what: str
) -> None:
    page = editor.post("/newsroom/stories/new", data={**WHOLE, "add": what}).text

    assert f'name="{what}s-2-' in page
    assert "It may spread." in page
    assert "Lumen Sync has let auditors in." in page
    assert "https://example.com/lumen" in page
    assert "autofocus" in page
    with database.reading() as session:
        assert session.scalars(select(Story)).all() == []


def test_the_form_shows_the_block_as_it_would_read(editor: FlaskClient) -> None:
    page = text_of(editor.post("/newsroom/stories/new", data={**WHOLE, "add": "source"}).text)

    assert "This story was written with information from The Turntable Gazette ." in page
    assert "We covered it because it’s news regarding royalty audits." in page


def test_a_problem_is_shown_beside_its_field_and_nothing_is_lost(editor: FlaskClient) -> None:
    wrong = {**WHOLE, "headline": " ", "sources-0-url": "javascript:alert(1)"}

    page = editor.post("/newsroom/stories/new", data=wrong)

    assert page.status_code == 422
    assert 'id="headline-problem"' in page.text
    assert 'aria-describedby="sources-0-url-problem"' in page.text
    assert "beginning with https://" in page.text
    assert "It may spread." in page.text
    assert "javascript:alert(1)" in page.text


def test_a_conflicting_save_of_a_draft_keeps_both_texts(
    editor: FlaskClient, database: Database
) -> None:
    address = saved(editor)
    editor.post(address, data={**WHOLE, "edits": "0", "lead": "Theirs."})

    page = editor.post(address, data={**WHOLE, "edits": "0", "lead": "Mine."})
    assert page.status_code == 409
    assert "Someone else saved this story while you were writing." in page.text
    assert "Mine." in page.text
    assert the_story(database).lead == "Theirs."

    assert 'name="edits" value="1"' in page.text
    assert editor.post(address, data={**WHOLE, "edits": "1", "lead": "Mine."}).status_code == 303
    assert the_story(database).lead == "Mine."


def test_text_typed_while_the_story_was_published_is_kept_with_a_notice(
    editor: FlaskClient, database: Database
) -> None:
    address = saved(editor)
    editor.post(f"{address}/publish")

    page = editor.post(address, data={**WHOLE, "edits": "0", "lead": "Too late."})

    assert page.status_code == 409
    assert "Too late." in page.text
    assert "Too late." not in editor.get(f"/articles/{the_story(database).slug}").text


def test_publishing_twice_says_that_the_story_is_published(
    editor: FlaskClient, database: Database
) -> None:
    address = saved(editor)
    editor.post(f"{address}/publish")

    again = editor.post(f"{address}/publish", follow_redirects=True)

    assert again.status_code == 200
    assert "published already" in again.text
    assert f'href="/articles/{the_story(database).slug}"' in again.text
    assert "Already published" in editor.get(f"{address}/publish").text


def test_publishing_a_draft_changed_meanwhile_asks_to_read_it_again(
    editor: FlaskClient, database: Database
) -> None:
    address = saved(editor)
    editor.post(address, data={**WHOLE, "edits": "0", "lead": "Changed."})

    page = editor.post(f"{address}/publish", data={"edits": "0"}, follow_redirects=True)

    assert "Read it again before publishing." in page.text
    assert the_story(database).state is StoryState.DRAFT


def test_a_published_story_has_the_same_form(editor: FlaskClient) -> None:
    address = saved(editor)
    editor.post(f"{address}/publish")

    page = editor.get(address).text

    assert "Lumen Sync has let auditors in.</textarea>" in page
    assert "This story has been public" in text_of(page)
    assert "Publish the change…" in page
    assert editor.post(address, data={**WHOLE, "edits": "1", "then": "revise"}).location.endswith(
        "/revise"
    )


def test_added_groups_and_problems_do_not_change_a_published_story(editor: FlaskClient) -> None:
    address = saved(editor)
    editor.post(f"{address}/publish")

    for changes in ({"add": "source"}, {"headline": " "}):
        assert "Publish the change…" in editor.post(address, data={**WHOLE, **changes}).text


@pytest.mark.parametrize("place", ["", "/preview", "/publish"])
@pytest.mark.parametrize("story_id", ["999", "9223372036854775807", "99999999999999999999", "x"])
def test_an_unknown_story_shows_the_error_page(
    editor: FlaskClient, story_id: str, place: str
) -> None:
    assert editor.get(f"/newsroom/stories/{story_id}{place}").status_code == 404


def test_the_story_list_is_filtered_by_state_author_and_text(
    editor: FlaskClient, database: Database
) -> None:
    saved(editor)
    with database.transaction() as session:
        a_story(session, headline="Somebody Else’s Story", tags=["Vinyl"])

    assert "Somebody Else" not in text_of(editor.get("/newsroom/?mine=1").text)
    assert "Lumen Sync" in text_of(editor.get("/newsroom/?mine=1&state=draft").text)
    assert "Lumen Sync" not in text_of(editor.get("/newsroom/?state=published").text)
    found = text_of(editor.get("/newsroom/?q=viny").text)
    assert "Somebody Else" in found
    assert "Published" in found
    nothing = editor.get("/newsroom/?q=<b>x&state=draft").text
    assert "&lt;b&gt;x" in nothing
    assert "Search all stories" in nothing


def test_a_row_shows_the_length_of_the_story(editor: FlaskClient) -> None:
    saved(editor)

    assert "15 words, 1 min" in text_of(editor.get("/newsroom/").text)


def test_a_check_of_older_text_is_unticked_and_can_be_ticked_again(editor: FlaskClient) -> None:
    wrote = {"ai": "assisted", "ai_tasks": "the lead", "ai_tools": "Scribe 2"}
    address = saved(editor, **wrote, ai_checked="now")
    tick = 'id="ai_checked_tick" name="ai_checked" value="now">'
    kept = re.search(r'name="ai_checked" value="(\w{16})" checked>', editor.get(address).text)
    assert kept

    changes = {**wrote, "lead": "Auditors left again.", "edits": "0", "ai_checked": kept[1]}
    assert editor.post(address, data={**WHOLE, **changes}).status_code == 303

    page = editor.get(address).text
    assert tick in page
    assert "check it again" in text_of(page)
    changes |= {"edits": "1", "ai_checked": "now"}
    editor.post(address, data={**WHOLE, **changes})
    assert "check it again" not in text_of(editor.get(address).text)


def test_the_form_and_the_publishing_page_show_the_same_checks(
    editor: FlaskClient, database: Database
) -> None:
    with database.transaction() as session:
        a_party(session, name="Lumen Sync")
    address = saved(editor, tags="Deals")

    for page in (editor.get(address).text, editor.get(f"{address}/publish").text):
        assert "answer it again" not in text_of(page)


def test_a_scheduled_story_is_read_only(editor: FlaskClient, database: Database) -> None:
    address = saved(editor)
    with database.transaction() as session:
        story = session.scalars(select(Story)).one()
        story.state, story.publish_at = StoryState.SCHEDULED, NOON

    page = editor.get(address).text

    assert "Scheduled for" in text_of(page)
    assert f'href="{address}/publish"' in page
    assert "<textarea" not in page


def test_the_story_list_shows_the_standing_of_published_stories(
    editor: FlaskClient, database: Database
) -> None:
    with database.transaction() as session:
        account = an_account(session, email="sam@example.com")
        for kind in (ChangeKind.RETRACTION, ChangeKind.REMOVAL, None):
            story = get_story(session, a_story(session, headline=f"Was {kind}").story_id)
            if kind:
                change = StoryChange(kind, "Why", NoteInput(text="It was not so."))
                revise_story(session, story, change, by=account, now=NOON + timedelta(minutes=5))
        copy = story_copy(headline="Was changed")
        save_draft(session, story, copy, edits=story.edits, now=NOON + timedelta(minutes=6))

    for address in ("/newsroom/", "/newsroom/?state=published"):
        page = text_of(editor.get(address).text)
        assert page.count("unpublished changes") == 1
        assert page.count("Retracted") == page.count("Removed") == 1
        assert page.index("Was changed") < page.index("unpublished changes")
        assert page.index("unpublished changes") < page.index("Was removal")
