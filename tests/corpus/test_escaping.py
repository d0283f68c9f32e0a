"""Text by outsiders and editors stays text on every page and in every feed, mail and record.

Content is created once with innocent words, and then with all payloads, in batches, in every field
at once. No page may gain an element, an attribute or an address.
"""

import json
import re
from collections.abc import Iterator
from xml.etree import ElementTree as ET

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from nif.accounts.models import RoleName
from nif.database import Database
from nif.editions.messages import write_digest_message
from nif.editions.schedule import Slot
from nif.mail.message import Message
from nif.media.models import Picture
from nif.media.renditions import build_xmp_packet
from nif.services import Services
from nif.stories.corrections import StoryNote
from nif.stories.models import Revision, Story, StoryStanding
from nif.stories.queries import NoteInContext
from nif.subscriptions.models import MailingList
from nif.typography import replace_invalid_xml
from tests.conftest import NOON
from tests.corpus import payload_batches, payloads
from tests.corpus.page_contents import find_injections, parse_page
from tests.corpus.sample_content import create_content
from tests.web.newsroom.staff import signed_in, without_tokens
from tests.web.public.channels import flat

LENGTH = 1300
INNOCENT = "An innocent set of words"
STORY_PAGES = (
    "/articles/{slug}",
    "/articles/{slug}/history",
    "/articles/{slug}/history/1",
    "/articles/{slug}/diff/1..2",
    "/articles/{slug}/report",
    "/newsroom/stories/{id}",
    "/newsroom/stories/{id}/preview",
    "/newsroom/stories/{id}/publish",
    "/newsroom/stories/{id}/revise",
    "/newsroom/stories/{id}/versions",
)
NUMBERED_PAGES = (
    "/newsroom/register/{n}",
    "/newsroom/register/{n}/edit",
    "/newsroom/register/{n}/merge",
    "/newsroom/register/relationships/{twice}",
    "/newsroom/pictures/{n}",
    "/newsroom/reports/{twice}",
    "/people/ed-{n}",
    "/newsletters/list-{n}/",
    "/subscribe/list-{n}",
    "/embed/list-{n}",
    "/admin/lists/list-{n}",
    "/admin/lists/list-{n}/edit",
    "/admin/lists/list-{n}/embed",
)
SITE_PAGES = (
    *("/", "/corrections", "/relationships", "/people", "/newsletters/", "/subscribe"),
    *("/transparency/ledger", "/newsroom/", "/newsroom/?q=a", "/newsroom/reports"),
    *("/newsroom/register/", "/newsroom/pictures/", "/admin/", "/admin/audit-log", "/admin/team"),
)
XML = ("/feed.xml", "/feed.atom", "/corrections.xml", "/sitemap.xml", "/sitemaps/news.xml")
JSON = ("/feed.json", "/relationships.json")


def pages(story: Story, n: int) -> Iterator[str]:
    yield from (path.format(slug=story.slug, id=story.id) for path in STORY_PAGES)
    yield f"/newsroom/stories/{story.id + 1}/publish"
    yield from (path.format(n=n, twice=2 * n) for path in NUMBERED_PAGES)


def kind_of(path: str) -> str:
    return re.sub(r"\d+|said-\d+", "n", path)


@pytest.fixture
def admin(app: Flask, database: Database) -> FlaskClient:
    return signed_in(without_tokens(app), database, RoleName.ADMIN)


def fetched(client: FlaskClient, path: str) -> str:
    answer = client.get(path)
    assert (path, answer.status_code) == (path, 200)
    assert not any(set("\r\n\0") & set(f"{k}{v}") for k, v in answer.headers), path
    return answer.text


def create_stories(database: Database, texts: list[str], *, first: int) -> list[Story]:
    with database.transaction() as session:
        return [
            create_content(session, text, _parts(text), number=n)
            for n, text in enumerate(texts, start=first)
        ]


def test_hostile_text_in_a_field_never_becomes_markup(
    admin: FlaskClient, database: Database
) -> None:
    innocent, _ = create_stories(database, [INNOCENT, INNOCENT], first=1)
    like = {kind_of(path): parse_page(fetched(admin, path)) for path in pages(innocent, 1)}
    like |= {path: parse_page(fetched(admin, path)) for path in SITE_PAGES}
    known = set().union(*(page.shapes for page in like.values()))
    sets = list(payload_batches(LENGTH))
    stories = create_stories(database, sets, first=3)
    for n, (text, story) in enumerate(zip(sets, stories, strict=True), start=3):
        for path in pages(story, n):
            page = parse_page(fetched(admin, path))
            assert (path, find_injections(page, like[kind_of(path)], known)) == (path, [])
            assert (path, flat(text) in page.words) == (path, True)
    for path in SITE_PAGES:
        page = parse_page(fetched(admin, path))
        assert (path, find_injections(page, like[path], known)) == (path, [])
    check_feeds_and_records(admin, sets, stories)
    check_picture_metadata(database)


def check_feeds_and_records(client: FlaskClient, sets: list[str], stories: list[Story]) -> None:
    for path in (*XML, *(f"/sitemaps/{name}-1.xml" for name in ("articles", "topics"))):
        assert ET.fromstring(fetched(client, path)).tag, path
    for path in JSON:
        json.loads(fetched(client, path))
    for line in fetched(client, "/transparency/ledger.jsonl").splitlines():
        json.loads(line)
    for text, story in zip(sets, stories, strict=True):
        record = json.loads(fetched(client, f"/articles/{story.slug}/transparency.json"))
        assert replace_invalid_xml(record["sources"][0]["publisher"]) == replace_invalid_xml(text)
        json.loads(fetched(client, f"/articles/{story.slug}/history.json"))
        (data,) = parse_page(fetched(client, f"/articles/{story.slug}")).data
        assert json.loads(data)["isBasedOn"][0]["publisher"]["name"] in {
            text,
            replace_invalid_xml(text),
        }


def check_picture_metadata(database: Database) -> None:
    with database.reading() as session:
        for picture in session.scalars(select(Picture)):
            assert ET.fromstring(build_xmp_packet(picture).partition(b"?>")[2])


def _parts(text: str) -> list[str]:
    return [one for one in payloads() if one in text] or text.split()


def test_mail_contains_hostile_text_as_text(database: Database, services: Services) -> None:
    """The batches are short, because mail programs clip long mails."""
    like = parse_page(a_digest(database, services, INNOCENT, number=1).html)
    for n, text in enumerate(payload_batches(500), start=2):
        message = a_digest(database, services, text, number=n)
        page = parse_page(message.html)
        assert (text, find_injections(page, like, like.shapes)) == (text, [])
        assert flat(replace_invalid_xml(text)) in page.words
        for plain in (message.subject, message.from_name, *message.headers.values()):
            assert not set(plain) & set("\r\n\0")
        assert flat(replace_invalid_xml(text)) in flat(message.text)


def a_digest(database: Database, services: Services, text: str, *, number: int) -> Message:
    with database.transaction() as session:
        story = create_content(session, text, [], number=number)
        notes = session.scalars(select(StoryNote).where(StoryNote.story_id == story.id))
        notes_in_context = [
            NoteInContext(note, story.slug, text, StoryStanding.SOUND) for note in notes
        ]
        newsletter = session.scalars(select(MailingList).order_by(MailingList.id.desc())).first()
        revisions = [session.get_one(Revision, story.current_id)]
        slot = Slot(NOON.date(), NOON)
        return write_digest_message(
            services.mail_writer, newsletter, slot, revisions, "x", notes_in_context
        )
