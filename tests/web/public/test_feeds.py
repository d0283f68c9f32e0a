"""Feeds contain whole stories with their blocks, and change at once."""

import json
from datetime import timedelta
from email.utils import parsedate_to_datetime

import html5lib
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from nif.accounts.models import RoleName
from nif.clock import utc_now
from nif.database import Database
from nif.stories.corrections import NoteInput, StoryChange, revise_story
from nif.stories.drafts import get_story
from nif.stories.models import ChangeKind, Revision, StoryType
from nif.stories.publishing import invalidate_pages
from nif.typography import typeset
from tests.conftest import NOON
from tests.factories import a_draft, a_story, an_account
from tests.web.public.channels import (
    ATOM,
    CONTENT,
    CREATOR,
    FEEDS,
    addresses,
    atom_entries,
    fetched,
    flat,
    json_items,
    rss_items,
    structured,
    tree,
    words,
)

BASE = "http://127.0.0.1:8000"
TYPES = {
    "/feed.xml": "application/rss+xml; charset=utf-8",
    "/feed.atom": "application/atom+xml; charset=utf-8",
    "/feed.json": "application/feed+json",
    "/tags/deals/feed.xml": "application/rss+xml; charset=utf-8",
}
EVERYWHERE = ("/", *FEEDS, "/tags/deals/feed.xml", "/sitemap.xml", "/sitemaps/news.xml")


def bodies(client: FlaskClient) -> list[str]:
    """The content of the newest story in each feed."""
    return [
        rss_items(client)[0].findtext(f"{CONTENT}encoded") or "",
        rss_items(client, "/tags/deals/feed.xml")[0].findtext(f"{CONTENT}encoded") or "",
        atom_entries(client)[0].findtext(f"{ATOM}content") or "",
        json_items(client)[0]["content_html"],
    ]


def test_every_feed_contains_the_whole_story(client: FlaskClient, database: Database) -> None:
    sections = [("Backstory:", ["It's the first.", "It isn't new."]), ("Now:", ["The third."])]
    with database.transaction() as session:
        a_story(session, dek="Nobody's named", lead="Anna's archive.", sections=sections)
    parts = ["Nobody’s named", "Anna’s archive.", "Backstory:", "It’s the first.", "It isn’t new."]
    parts += ["Now:", "The third.", "Disclosures & Transparency Block"]

    for html in bodies(client):
        html5lib.HTMLParser(strict=True).parseFragment(html)
        text = words(html)
        places = [text.index(flat(part)) for part in parts]
        assert places == sorted(places)
        assert "'" not in html
    plain = json_items(client)[0]["content_text"]
    assert all(flat(part) in flat(plain) for part in parts)
    assert "’" not in plain


@pytest.mark.parametrize("path", TYPES)
def test_an_unchanged_feed_is_answered_with_304(
    client: FlaskClient, database: Database, path: str
) -> None:
    with database.transaction() as session:
        a_story(session)
    first = client.get(path)
    again = client.get(path, headers={"If-None-Match": first.headers["ETag"]})

    assert first.headers["Content-Type"] == TYPES[path]
    assert (again.status_code, again.data) == (304, b"")
    assert "Set-Cookie" not in first.headers


def test_a_published_story_is_at_once_on_the_front_page_in_all_feeds_and_sitemaps(
    client: FlaskClient, database: Database
) -> None:
    with database.transaction() as session:
        a_story(session, headline="The First", at=utc_now() - timedelta(hours=2))
    before = {path: client.get(path) for path in EVERYWHERE}
    with database.transaction() as session:
        slug = a_story(session, headline="The Second", at=utc_now() - timedelta(hours=1)).slug

    for path in (*EVERYWHERE, "/sitemaps/articles-1.xml"):
        known = before[path].headers["ETag"] if path in before else ""
        after = client.get(path, headers={"If-None-Match": known})
        assert (path, after.status_code) == (path, 200)
        assert after.headers["ETag"] != known
        if path != "/sitemap.xml":
            assert f"/articles/{slug}" in after.text


def test_links_are_built_from_the_base_url_whatever_the_request_says(
    client: FlaskClient, database: Database
) -> None:
    with database.transaction() as session:
        slug = a_story(session).slug
    for path in (*TYPES, "/sitemap.xml", "/sitemaps/articles-1.xml", "/robots.txt"):
        answer = client.get(path, headers={"Host": "localhost:1"})
        assert answer.status_code == 200
        assert "localhost" not in answer.text
    for html in bodies(client):
        assert f'href="{BASE}/articles/{slug}"' in html
        assert f'href="{BASE}/articles/{slug}/transparency.json"' in html
        assert 'href="/' not in html


def test_a_story_keeps_its_id_and_its_time_of_change_moves(
    client: FlaskClient, database: Database
) -> None:
    with database.transaction() as session:
        first = a_story(session, byline="Jo O'Hara")
        later = revised(first, slug="another-address", modified_at=NOON + timedelta(hours=3))
        session.add(later)
        session.flush()
        point_to(session, later)
    rss, atom, item = rss_items(client)[0], atom_entries(client)[0], json_items(client)[0]

    named = f"{BASE}/articles/{first.slug}"
    assert [rss.findtext("guid"), atom.findtext(f"{ATOM}id"), item["id"]] == [named] * 3
    assert rss.find("guid").attrib == {"isPermaLink": "true"}
    assert item["url"] == rss.findtext("link") == f"{BASE}/articles/another-address"
    assert parsedate_to_datetime(rss.findtext("pubDate")) == NOON
    changed = "2026-11-20T15:00:00+00:00"
    assert rss.findtext(f"{ATOM}updated") == atom.findtext(f"{ATOM}updated") == changed
    assert item["date_modified"] == changed
    assert tree(client, "/feed.atom").findtext(f"{ATOM}updated") == changed
    assert rss.findtext(CREATOR) == atom.findtext(f"{ATOM}author/{ATOM}name") == "Jo O’Hara"


def revised(first: Revision, **given: object) -> Revision:
    """A second revision, as correcting a story makes it."""
    kept = {c.key: getattr(first, c.key) for c in Revision.__table__.columns if c.key != "id"}
    return Revision(**{**kept, "n": 2, **given})


def point_to(session: Session, revision: Revision) -> None:
    story = get_story(session, revision.story_id)
    story.current_id, story.slug = revision.id, revision.slug
    invalidate_pages(session)


def test_atom_names_the_sources_of_a_story_in_via_links(
    client: FlaskClient, database: Database
) -> None:
    with database.transaction() as session:
        a_story(session)
    entry = atom_entries(client)[0]
    via = [link.attrib for link in entry.findall(f"{ATOM}link") if link.get("rel") == "via"]

    source = "https://example.com/sale"
    assert via == [{"rel": "via", "title": "The Turntable Gazette", "href": source}]


def test_an_opinion_is_labelled_in_its_title(client: FlaskClient, database: Database) -> None:
    with database.transaction() as session:
        slug = a_story(session, headline="It's Fine", story_type=StoryType.OPINION).slug

    assert rss_items(client)[0].findtext("title") == "Opinion: It’s Fine"
    assert json_items(client)[0]["title"] == "Opinion: It’s Fine"
    assert 'og:title" content="Opinion: It’s Fine"' in fetched(client, f"/articles/{slug}")


def test_a_topics_feed_has_its_stories_only(client: FlaskClient, database: Database) -> None:
    with database.transaction() as session:
        a_story(session, headline="About Deals", tags=["Deals"])
        a_story(session, headline="About Labour", tags=["Labour"])

    titles = [item.findtext("title") for item in rss_items(client, "/tags/labour/feed.xml")]
    assert titles == ["About Labour"]
    assert client.get("/tags/nothing/feed.xml").status_code == 404


def test_drafts_are_in_no_feed_and_the_newest_come_first(
    client: FlaskClient, database: Database
) -> None:
    with database.transaction() as session:
        a_story(session, headline="Older", at=NOON - timedelta(days=1))
        a_story(session, headline="Newer", at=NOON)
        a_draft(session, headline="Draft")

    assert [item["title"] for item in json_items(client)] == ["Newer", "Older"]
    assert len(rss_items(client)) == len(atom_entries(client)) == 2


def test_an_empty_feed_is_valid(client: FlaskClient) -> None:
    assert rss_items(client) == atom_entries(client) == json_items(client) == []
    assert tree(client, "/feed.atom").findtext(f"{ATOM}updated") == "1970-01-01T00:00:00+00:00"


def test_pages_link_the_feeds(client: FlaskClient, database: Database) -> None:
    with database.transaction() as session:
        slug = a_story(session, tags=["Deals"]).slug
    for path in ("/", f"/articles/{slug}", "/tags/deals", "/policies/"):
        page = fetched(client, path)
        assert all(f'href="{feed}"' in page for feed in FEEDS)
    assert 'type="application/rss+xml" title="Deals | ' in fetched(client, "/tags/deals")
    assert 'href="/tags/deals/feed.xml"' in fetched(client, "/tags/deals")


def test_the_json_feed_has_the_record_with_each_story(
    client: FlaskClient, database: Database
) -> None:
    with database.transaction() as session:
        story = a_story(session)
    record = json.loads(fetched(client, f"/articles/{story.slug}/transparency.json"))
    extension = json_items(client)[0]["_nif_transparency"]

    assert extension.pop("record") == f"{BASE}/articles/{story.slug}/transparency.json"
    assert extension == record


def test_query_parameters_do_not_make_another_feed(
    client: FlaskClient, database: Database, app: Flask
) -> None:
    with database.transaction() as session:
        a_story(session)
    for junk in ("", "?after=1", "?utm_source=x", "?version=2"):
        client.get(f"/feed.xml{junk}")

    assert len(app.extensions["nif_pages"]._pages) == 1


def test_titles_are_typeset_as_on_the_page(client: FlaskClient, database: Database) -> None:
    with database.transaction() as session:
        story = a_story(session, headline="Anna's Archive", at=utc_now())
    page = fetched(client, f"/articles/{story.slug}")

    title = typeset(story.headline)
    assert structured(page)["headline"] == title
    assert rss_items(client)[0].findtext("title") == title
    assert title in fetched(client, "/sitemaps/news.xml")
    assert addresses(client, "/sitemaps/news.xml") == [f"{BASE}/articles/{story.slug}"]


def test_a_retracted_story_is_labelled_before_its_headline(
    client: FlaskClient, database: Database
) -> None:
    later = NOON + timedelta(hours=5)
    with database.transaction() as session:
        made = a_story(session, headline="Palisade Sells", story_type=StoryType.OPINION)
        story = get_story(session, made.story_id)
        change = StoryChange(ChangeKind.RETRACTION, "Retracted", NoteInput(text="It is not so."))
        revise_story(session, story, change, by=an_account(session, RoleName.STANDARDS), now=later)

    title = "Retracted: Opinion: Palisade Sells"
    (rss,), (atom,), (item,) = rss_items(client), atom_entries(client), json_items(client)
    assert {rss.findtext("title"), atom.findtext(f"{ATOM}title"), item["title"]} == {title}
    assert rss.findtext(f"{ATOM}updated") == atom.findtext(f"{ATOM}updated")
    assert atom.findtext(f"{ATOM}updated") == item["date_modified"] == later.isoformat()
    assert atom.findtext(f"{ATOM}published") == NOON.isoformat()
