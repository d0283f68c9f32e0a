"""The front page and other lists of cards label stories in bad standing."""

from datetime import timedelta

from flask.testing import FlaskClient

from nif.database import Database
from nif.stories.corrections import NoteInput, StoryChange, revise_story
from nif.stories.drafts import get_story
from nif.stories.models import ChangeKind
from tests.conftest import NOON
from tests.factories import a_story, an_account


def stories(database: Database, *kinds: ChangeKind | None) -> None:
    """One story for each kind of change, oldest first, changed in that way."""
    with database.transaction() as session:
        editor = an_account(session, email="sam@example.com")
        for n, kind in enumerate(kinds):
            given = {"headline": f"Story {n}", "dek": f"Dek {n}.", "lead": f"Lead {n}."}
            revision = a_story(session, at=NOON + timedelta(minutes=n), **given)
            if kind:
                change = StoryChange(kind, "Why", NoteInput(text="It was not so."))
                later = NOON + timedelta(hours=1)
                revise_story(
                    session, get_story(session, revision.story_id), change, by=editor, now=later
                )


def test_a_story_in_bad_standing_never_leads_and_its_card_shows_no_claim(
    client: FlaskClient, database: Database
) -> None:
    stories(database, None, None, ChangeKind.REMOVAL, ChangeKind.RETRACTION)

    page = client.get("/").text
    shown = [page.index(f"Story {n}</a>") for n in (1, 3, 2, 0)]

    assert shown == sorted(shown)
    assert "Lead 1." in page
    assert page.count("Retracted: see what was wrong</a>") == 1
    assert page.count("Removed: see why</a>") == 1
    for place in ("/", "/tags/deals", "/articles/story-0"):
        told = client.get(place).text
        assert '<b class="label">Retracted:</b> Story 3' in told
        assert "Retracted: see what was wrong" in told
        assert "Dek 3." not in told
        assert "Lead 3." not in told


def test_without_a_story_in_good_standing_there_is_no_lead_and_every_story_is_shown_once(
    client: FlaskClient, database: Database
) -> None:
    stories(database, *[None] * 2, *[ChangeKind.RETRACTION] * 20)

    first = client.get("/").text
    older = first.partition('href="/?after=')[2].partition('"')[0]
    second = client.get(f"/?after={older}").text

    assert 'class="story-grid with-lead"' not in first
    for n in range(22):
        assert (first + second).count(f"Story {n}</a>") == 1


def test_the_lead_may_be_the_last_of_its_page(client: FlaskClient, database: Database) -> None:
    stories(database, *[None] * 3, *[ChangeKind.RETRACTION] * 19)

    first = client.get("/").text
    older = first.partition('href="/?after=')[2].partition('"')[0]
    second = client.get(f"/?after={older}").text

    assert 'class="story-grid with-lead"' in first
    assert first.index("Story 2</a>") < first.index("Story 21</a>")
    for n in range(22):
        assert (first + second).count(f"Story {n}</a>") == 1


def test_a_retracted_story_has_its_dek_struck_through_on_its_page(
    client: FlaskClient, database: Database
) -> None:
    stories(database, ChangeKind.RETRACTION)

    page = client.get("/articles/story-0").text

    assert '<s class="retracted">Dek 0.</s>' in page
    assert page.count("Dek 0.") == 1
