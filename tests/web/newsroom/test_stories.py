"""From a blank form to a published story."""

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


def saved(desk: FlaskClient, **changes: str) -> str:
    """The address of a draft that was saved from the form."""
    answer = desk.post("/newsroom/stories/new", data={**WHOLE, **changes})
    assert answer.status_code == 303, text_of(answer.text)
    return answer.location


def the_story(database: Database) -> Story:
    with database.reading() as session:
        story = session.scalars(select(Story)).one()
        assert [len(story.sources), len(story.tags)]
        return story


def test_the_desk_says_what_to_do_where_nothing_is_written(desk: FlaskClient) -> None:
    page = text_of(desk.get("/newsroom/").text)

    assert "No drafts. Write a story" in page
    assert "Nothing is published yet." in page


def test_drafts_come_first_and_say_what_is_missing(desk: FlaskClient, database: Database) -> None:
    with database.transaction() as session:
        a_story(session, headline="Before readers")
        a_draft(session, headline="Whole")
        a_draft(session, headline="Half", lead="", sources=[])

    page = text_of(desk.get("/newsroom/").text)

    assert page.index("Half") < page.index("Whole") < page.index("Before readers")
    assert "Not ready yet" in page
    assert "Ready to publish" in page


def test_older_stories_are_on_further_pages(desk: FlaskClient, database: Database) -> None:
    with database.transaction() as session:
        for n in range(21):
            a_draft(session, headline=f"Draft {n:02}").updated_at = NOON + timedelta(minutes=n)

    first = desk.get("/newsroom/")
    assert "Draft 20" in first.text
    assert "Draft 00" not in first.text
    older = first.text.partition('href="/newsroom/?after')[2].partition('"')[0]
    second = desk.get(f"/newsroom/?after{older.replace('&amp;', '&')}")
    assert "Draft 00" in second.text
    assert "Draft 11" not in second.text
    assert desk.get("/newsroom/?after=nonsense").status_code == 404


def test_a_story_is_drafted_looked_at_and_published(desk: FlaskClient, database: Database) -> None:
    address = saved(desk)
    story = the_story(database)
    bullets = ["Nobody had before.", "It may spread."]
    assert story.sections == [{"label": "Why it matters:", "bullets": bullets, "picture": None}]
    assert [(s.publisher, s.seen_by_us) for s in story.sources] == [("The Turntable Gazette", True)]
    assert [tag.name for tag in story.tags] == ["Deals", "Royalties"]

    preview = desk.get(f"{address}/preview")
    assert "It is not public." in preview.text
    assert "We covered it because it’s news regarding royalty audits." in preview.text
    assert desk.get(f"/articles/{story.slug}").status_code == 404

    assert "Publish this story?" in desk.get(f"{address}/publish").text
    published = desk.post(f"{address}/publish", data={"edits": "0"}, follow_redirects=True)
    assert f'<a href="/articles/{story.slug}">' in published.text
    assert "Lumen Sync Opens Its Books" in desk.get(f"/articles/{story.slug}").text


def test_a_draft_may_be_unfinished_and_each_gate_links_to_its_field(desk: FlaskClient) -> None:
    address = saved(desk, lead="", **{"sources-0-publisher": "", "sources-0-url": ""})

    refused = desk.post(f"{address}/publish")

    assert refused.status_code == 422
    assert f'href="{address}#lead"' in refused.text
    assert "A story needs a lead" in refused.text
    assert f'href="{address}#sources"' in refused.text
    assert 'id="sources"' in desk.get(address).text


@pytest.mark.parametrize(("then", "place"), [("preview", "/preview"), ("publish", "/publish")])
def test_saving_leads_on_to_where_the_button_says(desk: FlaskClient, then: str, place: str) -> None:
    assert saved(desk, then=then).endswith(place)


@pytest.mark.parametrize("what", ["section", "source"])
def test_one_more_group_loses_nothing_and_saves_nothing(
    desk: FlaskClient, database: Database, what: str
) -> None:
    page = desk.post("/newsroom/stories/new", data={**WHOLE, "add": what}).text

    assert f'name="{what}s-2-' in page
    assert "It may spread." in page
    assert "Lumen Sync has let auditors in." in page
    assert "https://example.com/lumen" in page
    assert "autofocus" in page
    with database.reading() as session:
        assert session.scalars(select(Story)).all() == []


def test_the_block_is_shown_as_it_would_read(desk: FlaskClient) -> None:
    page = text_of(desk.post("/newsroom/stories/new", data={**WHOLE, "add": "source"}).text)

    assert "This story was written with information from The Turntable Gazette ." in page
    assert "We covered it because it’s news regarding royalty audits." in page


def test_a_mistake_is_told_beside_its_field_and_nothing_is_lost(desk: FlaskClient) -> None:
    wrong = {**WHOLE, "headline": " ", "sources-0-url": "javascript:alert(1)"}

    page = desk.post("/newsroom/stories/new", data=wrong)

    assert page.status_code == 422
    assert 'id="headline-problem"' in page.text
    assert 'aria-describedby="sources-0-url-problem"' in page.text
    assert "beginning with https://" in page.text
    assert "It may spread." in page.text
    assert "javascript:alert(1)" in page.text


def test_a_draft_that_someone_else_saved_meanwhile_keeps_both(
    desk: FlaskClient, database: Database
) -> None:
    address = saved(desk)
    desk.post(address, data={**WHOLE, "edits": "0", "lead": "Theirs."})

    page = desk.post(address, data={**WHOLE, "edits": "0", "lead": "Mine."})
    assert page.status_code == 409
    assert "Someone else saved this story while you were writing." in page.text
    assert "Mine." in page.text
    assert the_story(database).lead == "Theirs."

    assert 'name="edits" value="1"' in page.text
    assert desk.post(address, data={**WHOLE, "edits": "1", "lead": "Mine."}).status_code == 303
    assert the_story(database).lead == "Mine."


def test_what_was_typed_while_a_story_was_published_is_kept_and_told(
    desk: FlaskClient, database: Database
) -> None:
    address = saved(desk)
    desk.post(f"{address}/publish")

    page = desk.post(address, data={**WHOLE, "edits": "0", "lead": "Too late."})

    assert page.status_code == 409
    assert "Too late." in page.text
    assert "Too late." not in desk.get(f"/articles/{the_story(database).slug}").text


def test_a_second_click_on_publish_is_told_kindly(desk: FlaskClient, database: Database) -> None:
    address = saved(desk)
    desk.post(f"{address}/publish")

    again = desk.post(f"{address}/publish", follow_redirects=True)

    assert again.status_code == 200
    assert "published already" in again.text
    assert f'href="/articles/{the_story(database).slug}"' in again.text
    assert "Already published" in desk.get(f"{address}/publish").text


def test_publishing_what_changed_under_ones_eyes_asks_to_read_again(
    desk: FlaskClient, database: Database
) -> None:
    address = saved(desk)
    desk.post(address, data={**WHOLE, "edits": "0", "lead": "Changed."})

    page = desk.post(f"{address}/publish", data={"edits": "0"}, follow_redirects=True)

    assert "Read it again before publishing." in page.text
    assert the_story(database).state is StoryState.DRAFT


def test_a_published_story_has_the_same_form(desk: FlaskClient) -> None:
    address = saved(desk)
    desk.post(f"{address}/publish")

    page = desk.get(address).text

    assert "Lumen Sync has let auditors in.</textarea>" in page
    assert "This story has been public" in text_of(page)
    assert "Publish the change…" in page
    assert desk.post(address, data={**WHOLE, "edits": "1", "then": "revise"}).location.endswith(
        "/revise"
    )


def test_more_groups_and_mistakes_leave_a_published_story_what_it_is(desk: FlaskClient) -> None:
    address = saved(desk)
    desk.post(f"{address}/publish")

    for changes in ({"add": "source"}, {"headline": " "}):
        assert "Publish the change…" in desk.post(address, data={**WHOLE, **changes}).text


@pytest.mark.parametrize("place", ["", "/preview", "/publish"])
@pytest.mark.parametrize("story_id", ["999", "9223372036854775807", "99999999999999999999", "x"])
def test_a_story_that_is_not_there_is_a_page(desk: FlaskClient, story_id: str, place: str) -> None:
    assert desk.get(f"/newsroom/stories/{story_id}{place}").status_code == 404


def test_the_desk_is_sieved_by_state_author_and_words(
    desk: FlaskClient, database: Database
) -> None:
    saved(desk)
    with database.transaction() as session:
        a_story(session, headline="Somebody Else’s Story", tags=["Vinyl"])

    assert "Somebody Else" not in text_of(desk.get("/newsroom/?mine=1").text)
    assert "Lumen Sync" in text_of(desk.get("/newsroom/?mine=1&state=draft").text)
    assert "Lumen Sync" not in text_of(desk.get("/newsroom/?state=published").text)
    found = text_of(desk.get("/newsroom/?q=viny").text)
    assert "Somebody Else" in found
    assert "Published" in found
    nothing = desk.get("/newsroom/?q=<b>x&state=draft").text
    assert "&lt;b&gt;x" in nothing
    assert "Search all stories" in nothing


def test_a_row_says_how_long_it_is(desk: FlaskClient) -> None:
    saved(desk)

    assert "15 words, 1 min" in text_of(desk.get("/newsroom/").text)


def test_a_tick_for_an_older_text_is_off_and_may_be_set_again(desk: FlaskClient) -> None:
    wrote = {"ai": "assisted", "ai_tasks": "the lead", "ai_tools": "Scribe 2"}
    address = saved(desk, **wrote, ai_checked="now")
    tick = 'id="ai_checked_tick" name="ai_checked" value="now">'
    kept = re.search(r'name="ai_checked" value="(\w{16})" checked>', desk.get(address).text)
    assert kept

    changes = {**wrote, "lead": "Auditors left again.", "edits": "0", "ai_checked": kept[1]}
    assert desk.post(address, data={**WHOLE, **changes}).status_code == 303

    page = desk.get(address).text
    assert tick in page
    assert "check it again" in text_of(page)
    changes |= {"edits": "1", "ai_checked": "now"}
    desk.post(address, data={**WHOLE, **changes})
    assert "check it again" not in text_of(desk.get(address).text)


def test_the_form_and_the_page_before_publishing_ask_for_the_same(
    desk: FlaskClient, database: Database
) -> None:
    with database.transaction() as session:
        a_party(session, name="Lumen Sync")
    address = saved(desk, tags="Deals")

    for page in (desk.get(address).text, desk.get(f"{address}/publish").text):
        assert "answer it again" not in text_of(page)


def test_a_scheduled_story_is_read_and_not_written(desk: FlaskClient, database: Database) -> None:
    address = saved(desk)
    with database.transaction() as session:
        story = session.scalars(select(Story)).one()
        story.state, story.publish_at = StoryState.SCHEDULED, NOON

    page = desk.get(address).text

    assert "Scheduled for" in text_of(page)
    assert f'href="{address}/publish"' in page
    assert "<textarea" not in page


def test_the_desk_says_what_became_of_a_published_story(
    desk: FlaskClient, database: Database
) -> None:
    with database.transaction() as session:
        editor = an_account(session, email="sam@example.com")
        for kind in (ChangeKind.RETRACTION, ChangeKind.REMOVAL, None):
            story = get_story(session, a_story(session, headline=f"Was {kind}").story_id)
            if kind:
                change = StoryChange(kind, "Why", NoteInput(text="It was not so."))
                revise_story(session, story, change, by=editor, now=NOON + timedelta(minutes=5))
        copy = story_copy(headline="Was changed")
        save_draft(session, story, copy, edits=story.edits, now=NOON + timedelta(minutes=6))

    for address in ("/newsroom/", "/newsroom/?state=published"):
        page = text_of(desk.get(address).text)
        assert page.count("unpublished changes") == 1
        assert page.count("Retracted") == page.count("Removed") == 1
        assert page.index("Was changed") < page.index("unpublished changes")
        assert page.index("unpublished changes") < page.index("Was removal")
