"""The sentences of a transparency block are the same in every channel.

The sentences are taken from the revision, so that a new kind of them is covered from its first
day.
"""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from nif.database import Database
from nif.editions.digest import compose_digest
from nif.editions.schedule import Slot
from nif.services import Services
from nif.stories.drafts import SourceInput
from nif.stories.models import ReasonCode, ReleaseVerification, Revision, SourceKind
from tests.conftest import NOON
from tests.factories import a_list, a_story, texts
from tests.web.public.channels import (
    ATOM,
    CONTENT,
    atom_entries,
    fetched,
    flat,
    json_items,
    rss_items,
    structured,
    words,
)

OUTLETS = [
    SourceInput(SourceKind.PUBLICATION, "Anna's Gazette", "One", "https://example.com/a?b=1&c=2"),
    SourceInput(SourceKind.PUBLICATION, "Q & A", "Two", "https://example.com/two"),
]
OWN = SourceInput(SourceKind.OWN_REPORTING)
RELEASE = SourceInput(
    SourceKind.PRESS_RELEASE,
    "Palisade",
    "News",
    "https://example.com/press",
    checked=ReleaseVerification.NO,
)

STORIES = {
    "outlets": {"sources": OUTLETS},
    "our own": {"sources": [OWN], "reason_code": ReasonCode.EXCLUSIVE, "reason_subject": ""},
    "mixed": {"sources": [OWN, *OUTLETS], "reason_code": ReasonCode.READER_REQUEST},
    "a release": {"sources": [RELEASE], "reason_subject": "what it's “worth”"},
}
Channel = Callable[[FlaskClient, Revision], str]


def page(client: FlaskClient, story: Revision) -> str:
    whole = fetched(client, f"/articles/{story.slug}")
    return words(whole.partition('id="transparency"')[2].partition("</section>")[0])


def rss(client: FlaskClient, _story: Revision) -> str:
    return words(rss_items(client)[0].findtext(f"{CONTENT}encoded") or "")


def rss_of_a_topic(client: FlaskClient, _story: Revision) -> str:
    (item,) = rss_items(client, "/tags/deals/feed.xml")
    return words(item.findtext(f"{CONTENT}encoded") or "")


def atom(client: FlaskClient, _story: Revision) -> str:
    return words(atom_entries(client)[0].findtext(f"{ATOM}content") or "")


def json_feed_html(client: FlaskClient, _story: Revision) -> str:
    return words(json_items(client)[0]["content_html"])


def json_feed_text(client: FlaskClient, _story: Revision) -> str:
    text = json_items(client)[0]["content_text"]
    assert "’" not in text
    return flat(text)


def json_feed_record(client: FlaskClient, _story: Revision) -> str:
    return " ".join(texts(json_items(client)[0]["_nif_transparency"]["sentences"]))


def backstory(client: FlaskClient, story: Revision) -> str:
    return flat(structured(fetched(client, f"/articles/{story.slug}"))["backstory"]["text"])


def record(client: FlaskClient, story: Revision) -> str:
    found = json.loads(fetched(client, f"/articles/{story.slug}/transparency.json"))
    return " ".join(texts(found["sentences"]))


CHANNELS: list[Channel] = [
    page,
    rss,
    rss_of_a_topic,
    atom,
    json_feed_html,
    json_feed_text,
    json_feed_record,
    backstory,
    record,
]


@pytest.fixture(params=STORIES)
def story(request: pytest.FixtureRequest, database: Database) -> Revision:
    with database.transaction() as session:
        a_list(session)
        return a_story(session, at=NOON, **STORIES[request.param])


def without_addresses(text: str) -> str:
    """Plain text has each source's address on a line of its own, between the sentences."""
    return " ".join(word for word in text.split() if not word.startswith("http"))


def sentences_in(text: str, story: Revision) -> Iterator[str]:
    """The story's sentences as they stand one after the other in `text`."""
    rest = without_addresses(text)
    for sentence in texts(story.block):
        before, found, rest = rest.partition(flat(sentence))
        assert found, (sentence, before)
        yield found


def test_the_block_is_the_same_in_every_channel(client: FlaskClient, story: Revision) -> None:
    block = [flat(one) for one in texts(story.block)]

    assert len(block) >= 2
    for channel in CHANNELS:
        found = list(sentences_in(channel(client, story), story))
        assert (channel.__name__, found) == (channel.__name__, block)


def test_the_block_is_the_same_in_the_mail(
    story: Revision, database: Database, services: Services
) -> None:
    with database.transaction() as session:
        now = NOON + timedelta(hours=1)
        mailing_list = a_list(session, slug="other")
        digest = compose_digest(
            session, mailing_list, Slot(now.date(), now), services.mail_writer, now=now
        )
    assert digest.message is not None
    for text in (flat(digest.message.text), words(digest.message.html)):
        assert list(sentences_in(text, story)) == [flat(one) for one in texts(story.block)]


def test_where_there_is_markup_the_block_links_its_sources(
    client: FlaskClient, story: Revision
) -> None:
    documents = {
        "page": fetched(client, f"/articles/{story.slug}"),
        "RSS": rss_items(client)[0].findtext(f"{CONTENT}encoded") or "",
        "Atom": atom_entries(client)[0].findtext(f"{ATOM}content") or "",
        "JSON": json_items(client)[0]["content_html"],
    }

    for sentence in story.block:
        for name, address in sentence["links"]:
            html = address.replace("&", "&amp;")
            shown = name.replace("&", "&amp;").replace("'", "’")
            link = f'<a href="{html}">{shown}</a>'
            assert [name for name, document in documents.items() if link not in document] == []


def test_a_sentence_of_an_unknown_kind_is_in_every_channel(
    client: FlaskClient, database: Database
) -> None:
    with database.transaction() as session:
        a_list(session)
        story = a_story(session)
        told = {"kind": "new", "text": "Anna's aunt works for it.", "links": []}
        story.block = [*story.block, told]
    for channel in CHANNELS:
        assert list(sentences_in(channel(client, story), story))[-1] == told["text"]
