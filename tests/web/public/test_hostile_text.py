"""What editors and sources write is text in every channel, never markup."""

import json
from datetime import timedelta
from xml.etree import ElementTree as ET

import html5lib
import pytest
from flask.testing import FlaskClient

from nif.clock import utc_now
from nif.database import Database
from nif.stories.drafts import SourceInput
from nif.stories.models import Revision, SourceKind
from tests.corpus import payload_batches, payloads
from tests.factories import a_story
from tests.web.public.channels import (
    ATOM,
    CONTENT,
    FEEDS,
    MAP,
    NEWS,
    atom_entries,
    fetched,
    flat,
    json_items,
    rss_items,
    structured,
    tree,
    words,
)

# How words are escaped is no question to the database.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

PLAIN = [text for text in payloads() if text.isprintable() and not set('*[]\\"') & set(text)]
CORPUS = list(payload_batches(100, of=PLAIN))[::8]
"""A sample of the corpus, compared character by character. tests/corpus runs all of it."""


@pytest.fixture(params=CORPUS)
def hostile(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def story(database: Database, hostile: str) -> Revision:
    source = SourceInput(SourceKind.PUBLICATION, hostile, hostile, "https://example.com/?a='\"<b>")
    with database.transaction() as session:
        return a_story(
            session,
            at=utc_now() - timedelta(hours=1),
            headline=hostile,
            dek=hostile,
            lead=hostile,
            sections=[(hostile, [hostile])],
            sources=[source],
            reason_subject=hostile,
            byline=hostile,
            tags=["Deals", f"a {hostile}"],
        )


def elements(html: str) -> set[str]:
    parsed = html5lib.HTMLParser(strict=True).parseFragment(html)
    return {
        element.tag.rpartition("}")[2] for element in parsed.iter() if isinstance(element.tag, str)
    }


def test_feeds_contain_hostile_text_as_text(
    client: FlaskClient, story: Revision, hostile: str
) -> None:
    contents = [
        rss_items(client)[0].findtext(f"{CONTENT}encoded") or "",
        atom_entries(client)[0].findtext(f"{ATOM}content") or "",
        json_items(client)[0]["content_html"],
    ]
    for html in contents:
        assert elements(html) <= {"DOCUMENT_FRAGMENT", "p", "em", "strong", "h2", "ul", "li", "a"}
        assert words(html).count(flat(hostile)) >= 5
    assert flat(rss_items(client)[0].findtext("title") or "") == flat(hostile)
    assert flat(json_items(client)[0]["title"]) == flat(hostile)
    assert json_items(client)[0]["content_text"].count(hostile) >= 5


def test_sitemaps_and_records_contain_hostile_text_as_text(
    client: FlaskClient, story: Revision, hostile: str
) -> None:
    (entry,) = tree(client, "/sitemaps/news.xml")
    record = json.loads(fetched(client, f"/articles/{story.slug}/transparency.json"))

    assert flat(entry.findtext(f"{NEWS}news/{NEWS}title") or "") == flat(hostile)
    assert record["headline"] == record["sources"][0]["publisher"] == hostile
    for path in ("/sitemap.xml", "/sitemaps/articles-1.xml", "/sitemaps/topics-1.xml"):
        assert all(loc.text.isascii() for loc in tree(client, path).iter(f"{MAP}loc"))


def test_the_page_and_its_json_ld_contain_hostile_text_as_text(
    client: FlaskClient, story: Revision, hostile: str
) -> None:
    page = fetched(client, f"/articles/{story.slug}")
    data = structured(page)

    html5lib.HTMLParser(strict=True).parse(page)
    assert page.count("<script") == page.count("</script") == 1
    assert "onerror=alert(1)>" not in page
    assert flat(data["headline"]) == flat(hostile)
    assert flat(hostile) in flat(data["backstory"]["text"])
    assert data["isBasedOn"][0]["publisher"]["name"] == hostile


def test_a_topic_of_any_name_has_a_feed(client: FlaskClient, story: Revision) -> None:
    for slug, name in story.tags:
        assert ET.fromstring(fetched(client, f"/tags/{slug}/feed.xml")).findtext(
            "channel/title"
        ) == (f"{name} | New Industry Focus")
        html5lib.HTMLParser(strict=True).parse(fetched(client, f"/tags/{slug}"))


def test_control_characters_do_not_break_feeds(client: FlaskClient, database: Database) -> None:
    with database.transaction() as session:
        a_story(session, headline="A\x08B\x1f\ufffe", lead="C\x0cD \x7f\x85", byline="E\x01")
    for path in FEEDS:
        assert client.get(path).status_code == 200
    assert rss_items(client)[0].findtext("title") == "A\ufffdB\ufffd\ufffd"
    assert "C\ufffdD" in atom_entries(client)[0].findtext(f"{ATOM}content")
    assert json_items(client)[0]["title"] == "A\x08B\x1f\ufffd"
