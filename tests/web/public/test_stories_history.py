"""A story's history: every version, the differences, and the corrections."""

import json
from datetime import timedelta
from functools import partial
from itertools import count
from xml.etree import ElementTree as ET

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.accounts.models import RoleName
from nif.database import Database
from nif.stories import queries
from nif.stories.corrections import NoteInput, StoryChange, revise_story
from nif.stories.drafts import get_story, save_draft
from nif.stories.models import ChangeKind, NoteSeverity, Revision
from nif.stories.queries import list_history
from tests.conftest import NOON
from tests.factories import a_story, an_account, story_copy

HEADLINE = "Palisade Sells"
AT = "/articles/palisade-sells"
_minutes = count(1)


def changed(
    session: Session,
    story_id: int,
    kind: ChangeKind = ChangeKind.CORRECTION,
    severity: NoteSeverity = NoteSeverity.MINOR,
    lead: str = "It was sold for £4m & more.",
) -> Revision:
    n, story = next(_minutes), get_story(session, story_id)
    now = NOON + timedelta(minutes=n)
    copy = story_copy(headline=HEADLINE, lead=f"{lead} {n}")
    save_draft(session, story, copy, edits=story.edits, now=now)
    said = f"it was £{n}m"
    note = NoteInput(text=said, incorrect_text=said, corrected_text="It was £4m", severity=severity)
    editor = an_account(session, email=f"{n}@example.com")
    return revise_story(session, story, StoryChange(kind, f"Change {n}", note), by=editor, now=now)


@pytest.fixture
def story_id(database: Database) -> int:
    with database.transaction() as session:
        a_story(session, headline="Noise")
        return a_story(session, headline=HEADLINE, lead="It was sold for £3m.").story_id


def test_the_history_lists_every_version(
    client: FlaskClient, database: Database, story_id: int
) -> None:
    with database.transaction() as session:
        summaries = [changed(session, story_id).summary for _ in range(2)]

    page = client.get(f"{AT}/history").text

    assert page.index(summaries[1]) < page.index(summaries[0]) < page.index("Version 1<")
    assert f'href="{AT}/diff/2..3"' in page
    assert '<meta name="robots" content="noindex">' in page


def test_a_long_history_has_pages(
    client: FlaskClient, database: Database, story_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "list_history", partial(list_history, size=2))
    with database.transaction() as session:
        for _ in range(2):
            changed(session, story_id)

    first = client.get(f"{AT}/history").text
    assert f"{AT}/history?after=2" in first
    assert "Version 1<" not in first
    assert "Version 1<" in client.get(f"{AT}/history?after=2").text
    assert client.get(f"{AT}/history?after=x").status_code == 404


def test_a_version_has_an_address_of_its_own(
    client: FlaskClient, database: Database, story_id: int
) -> None:
    with database.transaction() as session:
        changed(session, story_id)

    page = client.get(f"{AT}/history/1").text

    assert "It was sold for £3m." in page
    assert "It is not what the story says now." in page
    assert f'rel="canonical" href="http://127.0.0.1:8000{AT}"' in page
    assert '<meta name="robots" content="noindex">' in page
    assert client.get(f"{AT}/history/2").status_code == 200


@pytest.mark.parametrize(
    "place",
    ["/history/0", "/history/2", "/history/99999999999", "/diff/1..2", "/diff/1..", "/diff/x..1"],
)
def test_an_unknown_version_is_not_found(client: FlaskClient, story_id: int, place: str) -> None:
    assert client.get(AT + place).status_code == 404
    assert client.get(f"/articles/nothing{place}").status_code == 404


def test_a_difference_is_visible_and_announced_to_screen_readers(
    client: FlaskClient, database: Database, story_id: int
) -> None:
    with database.transaction() as session:
        changed(session, story_id, lead="It was sold for £4m.")

    page = client.get(f"{AT}/diff/1..2").text

    assert '<del><span class="visually-hidden">[removed: </span>3m.' in page
    assert '<ins><span class="visually-hidden">[added: </span>4m. ' in page
    assert "say the same" in client.get(f"{AT}/diff/1..1").text


def test_the_history_is_available_as_json(
    client: FlaskClient, database: Database, story_id: int
) -> None:
    with database.transaction() as session:
        changed(session, story_id)

    told = client.get(f"{AT}/history.json").json

    assert [one["version"] for one in told["versions"]] == [2, 1]
    assert told["versions"][0]["kind"] == "correction"
    assert told["versions"][0]["published_by"] == "editor"


@pytest.mark.parametrize(
    ("kind", "severity", "before", "after"),
    [
        ("correction", NoteSeverity.MINOR, "By Jo Reyes", "transparency-title"),
        ("correction", NoteSeverity.SIGNIFICANT, "content", "<h1"),
        ("correction", NoteSeverity.SERIOUS, '<main id="content"', "<h1"),
        ("update", NoteSeverity.MINOR, "By Jo Reyes", 'class="lead"'),
        ("editors_note", NoteSeverity.MINOR, "content", "<h1"),
    ],
)
def test_severity_decides_the_place_of_a_note(
    client: FlaskClient,
    database: Database,
    story_id: int,
    kind: str,
    severity: NoteSeverity,
    before: str,
    after: str,
) -> None:
    with database.transaction() as session:
        changed(session, story_id, ChangeKind(kind), severity)

    page = client.get(AT).text.partition("<main")[2]

    assert page.find(before.removeprefix("<main ")) < page.index('class="notice note"')
    assert page.index('class="notice note"') < page.index(after)
    assert ('<b class="label">Corrected:</b>' in page) == (severity is NoteSeverity.SERIOUS)


def test_a_retraction_is_shown_before_the_headline_everywhere(
    client: FlaskClient, database: Database, story_id: int
) -> None:
    with database.transaction() as session:
        changed(session, story_id, ChangeKind.RETRACTION)

    for place in (AT, "/"):
        assert '<b class="label">Retracted:</b> Palisade Sells' in client.get(place).text
    assert "<title>Retracted: Palisade Sells" in client.get(AT).text


def test_only_the_reason_of_a_removed_story_can_be_read(
    client: FlaskClient, database: Database, story_id: int
) -> None:
    with database.transaction() as session:
        changed(session, story_id, ChangeKind.REMOVAL)

    page = client.get(AT)
    assert page.status_code == 200
    assert "sold for" not in page.text
    assert "<b>Removed, " in page.text
    for place in ("/history/1", "/diff/1..2"):
        assert client.get(AT + place).status_code == 404
    assert client.get(f"{AT}/history").status_code == 200


def test_corrections_are_listed_and_other_notes_are_not(
    client: FlaskClient, database: Database, story_id: int
) -> None:
    assert "There are no corrections yet." in client.get("/corrections").text
    with database.transaction() as session:
        for kind in (ChangeKind.UPDATE, *[ChangeKind.CORRECTION] * 31):
            changed(session, story_id, kind)

    first = client.get("/corrections").text
    assert first.count("An earlier version") == 30
    older = first.partition('href="/corrections?')[2].partition('"')[0]
    second = client.get(f"/corrections?{older}").text
    assert second.count("An earlier version") == 1
    assert "Updated" not in second
    assert client.get("/corrections?after=x").status_code == 404


def test_corrections_have_a_feed(client: FlaskClient, database: Database, story_id: int) -> None:
    with database.transaction() as session:
        changed(session, story_id)

    answer = client.get("/corrections.xml")

    assert answer.mimetype == "application/rss+xml"
    (item,) = ET.fromstring(answer.text).iter("item")
    assert item.findtext("title") == "Correction: Palisade Sells"
    assert item.findtext("guid", "").startswith(f"http://127.0.0.1:8000{AT}#note-")
    assert "It was £4m." in item.findtext("description", "")


def test_json_ld_has_the_corrections_and_the_time_of_change(
    client: FlaskClient, database: Database, story_id: int
) -> None:
    with database.transaction() as session:
        changed(session, story_id)
        last = changed(session, story_id, ChangeKind.UPDATE)

    script = client.get(AT).text.partition('<script type="application/ld+json">')[2]
    told = json.loads(script.partition("</script>")[0])

    assert [one["@type"] for one in told["correction"]] == ["CorrectionComment"]
    assert "An earlier version" in told["correction"][0]["text"]
    assert (told["version"], told["dateModified"]) == (3, last.published_at.isoformat())


@pytest.mark.parametrize("role", list(RoleName))
def test_the_history_opens_for_every_role_of_the_publisher(
    client: FlaskClient, database: Database, story_id: int, role: RoleName
) -> None:
    with database.transaction() as session:
        revision = session.scalars(select(Revision).where(Revision.story_id == story_id)).one()
        revision.published_by_id = an_account(session, role).id

    assert client.get(f"{AT}/history").status_code == 200
