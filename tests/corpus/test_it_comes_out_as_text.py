"""Whatever an outsider or an editor wrote is text, on every page, in every feed, mail and record.

A house is furnished once with innocent words, and looked at; then with the whole corpus, in sets,
in every field at once. No page may have grown an element, an attribute or an address.
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
from nif.stories.history import NoteInContext
from nif.stories.models import Revision, Story, StoryStanding
from nif.subscriptions.models import MailingList
from nif.typography import replace_invalid_xml
from tests.conftest import NOON
from tests.corpus import in_sets, payloads
from tests.corpus.looking import look, trouble
from tests.corpus.world import furnish
from tests.web.newsroom.staff import signed_in, without_tokens
from tests.web.public.channels import flat

LENGTH = 1300
INNOCENT = "An innocent set of words"
OF_A_STORY = (
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
OF_A_NUMBER = (
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
OF_THE_HOUSE = (
    *("/", "/corrections", "/relationships", "/people", "/newsletters/", "/subscribe"),
    *("/transparency/ledger", "/newsroom/", "/newsroom/?q=a", "/newsroom/reports"),
    *("/newsroom/register/", "/newsroom/pictures/", "/admin/", "/admin/audit-log", "/admin/team"),
)
XML = ("/feed.xml", "/feed.atom", "/corrections.xml", "/sitemap.xml", "/sitemaps/news.xml")
JSON = ("/feed.json", "/relationships.json")


def pages(story: Story, n: int) -> Iterator[str]:
    yield from (path.format(slug=story.slug, id=story.id) for path in OF_A_STORY)
    yield f"/newsroom/stories/{story.id + 1}/publish"
    yield from (path.format(n=n, twice=2 * n) for path in OF_A_NUMBER)


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


def furnished(database: Database, texts: list[str], *, first: int) -> list[Story]:
    with database.transaction() as session:
        return [
            furnish(session, text, _parts(text), number=n)
            for n, text in enumerate(texts, start=first)
        ]


def test_no_field_of_the_house_becomes_markup(admin: FlaskClient, database: Database) -> None:
    innocent, _ = furnished(database, [INNOCENT, INNOCENT], first=1)
    like = {kind_of(path): look(fetched(admin, path)) for path in pages(innocent, 1)}
    like |= {path: look(fetched(admin, path)) for path in OF_THE_HOUSE}
    known = set().union(*(page.shapes for page in like.values()))
    sets = list(in_sets(LENGTH))
    stories = furnished(database, sets, first=3)
    for n, (text, story) in enumerate(zip(sets, stories, strict=True), start=3):
        for path in pages(story, n):
            page = look(fetched(admin, path))
            assert (path, trouble(page, like[kind_of(path)], known)) == (path, [])
            assert (path, flat(text) in page.words) == (path, True)
    for path in OF_THE_HOUSE:
        page = look(fetched(admin, path))
        assert (path, trouble(page, like[path], known)) == (path, [])
    machines_are_told_the_same(admin, sets, stories)
    files_of_pictures_are_labelled(database)


def machines_are_told_the_same(client: FlaskClient, sets: list[str], stories: list[Story]) -> None:
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
        (data,) = look(fetched(client, f"/articles/{story.slug}")).data
        assert json.loads(data)["isBasedOn"][0]["publisher"]["name"] in {
            text,
            replace_invalid_xml(text),
        }


def files_of_pictures_are_labelled(database: Database) -> None:
    with database.reading() as session:
        for picture in session.scalars(select(Picture)):
            assert ET.fromstring(build_xmp_packet(picture).partition(b"?>")[2])


def _parts(text: str) -> list[str]:
    return [one for one in payloads() if one in text] or text.split()


def test_mail_carries_it_as_text(database: Database, services: Services) -> None:
    """Short sets, for a mail program cuts what is long; the same shapes as an innocent mail."""
    like = look(a_digest(database, services, INNOCENT, number=1).html)
    for n, text in enumerate(in_sets(500), start=2):
        message = a_digest(database, services, text, number=n)
        page = look(message.html)
        assert (text, trouble(page, like, like.shapes)) == (text, [])
        assert flat(replace_invalid_xml(text)) in page.words
        for plain in (message.subject, message.from_name, *message.headers.values()):
            assert not set(plain) & set("\r\n\0")
        assert flat(replace_invalid_xml(text)) in flat(message.text)


def a_digest(database: Database, services: Services, text: str, *, number: int) -> Message:
    with database.transaction() as session:
        story = furnish(session, text, [], number=number)
        notes = session.scalars(select(StoryNote).where(StoryNote.story_id == story.id))
        told = [NoteInContext(note, story.slug, text, StoryStanding.SOUND) for note in notes]
        newsletter = session.scalars(select(MailingList).order_by(MailingList.id.desc())).first()
        revisions = [session.get_one(Revision, story.current_id)]
        slot = Slot(NOON.date(), NOON)
        return write_digest_message(services.mail_writer, newsletter, slot, revisions, "x", told)
