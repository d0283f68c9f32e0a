"""Sitemaps: everything published, in stable files, and the news of two days."""

from datetime import datetime, timedelta

from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from nif.accounts.models import RoleName
from nif.clock import utc_now
from nif.database import Database
from nif.stories.corrections import NoteInput, StoryChange, revise_story
from nif.stories.drafts import get_story
from nif.stories.models import ChangeKind
from tests.conftest import NOON
from tests.factories import a_draft, a_list, a_story, an_account
from tests.web.public.channels import MAP, NEWS, addresses, fetched, tree

BASE = "http://127.0.0.1:8000"
HOURS = timedelta(hours=1)


def test_the_index_links_every_story_topic_and_page(
    client: FlaskClient, database: Database
) -> None:
    with database.transaction() as session:
        a_list(session)
        slugs = [a_story(session, tags=["Deals"]).slug for _ in range(3)]
        a_draft(session, headline="A Draft", tags=["Unwritten"])
    files = addresses(client, "/sitemap.xml")
    found = [loc for file in files for loc in addresses(client, file.removeprefix(BASE))]

    assert {f"{BASE}/articles/{slug}" for slug in slugs} <= set(found)
    assert f"{BASE}/tags/deals" in found
    assert f"{BASE}/newsletters/daily/" in found
    assert not [loc for loc in found if "draft" in loc or "unwritten" in loc]
    for address in found:
        assert (address, client.get(address.removeprefix(BASE)).status_code) == (address, 200)


def test_the_index_has_the_time_of_the_last_change_of_each_sitemap(
    client: FlaskClient, database: Database
) -> None:
    with database.transaction() as session:
        a_story(session, at=NOON)
        a_story(session, at=NOON - timedelta(days=3))
    index = tree(client, "/sitemap.xml")
    changed = {e.findtext(f"{MAP}loc"): e.findtext(f"{MAP}lastmod") for e in index}

    assert changed[f"{BASE}/sitemaps/articles-1.xml"] == "2026-11-20T12:00:00+00:00"
    lastmod = [one.text for one in tree(client, "/sitemaps/articles-1.xml").iter(f"{MAP}lastmod")]
    assert lastmod == ["2026-11-20T12:00:00+00:00", "2026-11-17T12:00:00+00:00"]


def test_an_unknown_sitemap_is_not_found(client: FlaskClient) -> None:
    paths = ("articles-0", "articles-1", "articles-9999999999999999999", "topics-1", "articles--1")
    for path in (*paths, "articles-x", "nothing"):
        assert client.get(f"/sitemaps/{path}.xml").status_code == 404


def test_the_news_sitemap_has_the_stories_of_two_days(
    client: FlaskClient, database: Database
) -> None:
    now = utc_now()
    with database.transaction() as session:
        a_story(session, headline="Anna's News", at=now - timedelta(hours=47))
        a_story(session, headline="No News", at=now - timedelta(hours=49))
        a_draft(session, headline="Not Yet")
    (entry,) = tree(client, "/sitemaps/news.xml")
    item = entry.find(f"{NEWS}news")

    assert entry.findtext(f"{MAP}loc") == f"{BASE}/articles/anna-s-news"
    assert item.findtext(f"{NEWS}title") == "Anna’s News"
    assert item.findtext(f"{NEWS}publication/{NEWS}name") == "New Industry Focus"
    assert item.findtext(f"{NEWS}publication/{NEWS}language") == "en"
    published = datetime.fromisoformat(item.findtext(f"{NEWS}publication_date"))
    assert published == (now - timedelta(hours=47)).replace(microsecond=0)


def test_an_empty_news_sitemap_is_valid(client: FlaskClient) -> None:
    assert addresses(client, "/sitemaps/news.xml") == []
    assert fetched(client, "/sitemaps/news.xml").startswith("<?xml version='1.0'")


def test_a_sitemap_has_the_time_of_the_last_change_of_a_story(
    client: FlaskClient, database: Database
) -> None:
    with database.transaction() as session:
        revised(session, "Style", ChangeKind.STYLE, "It sold its catalogue.", at=HOURS)
        revised(session, "News", ChangeKind.UPDATE, "The buyer is named: Lumen Sync.", at=2 * HOURS)
    (index, *_) = [
        entry.findtext(f"{MAP}lastmod")
        for entry in tree(client, "/sitemap.xml")
        if "articles-1" in (entry.findtext(f"{MAP}loc") or "")
    ]

    lastmod = [one.text for one in tree(client, "/sitemaps/articles-1.xml").iter(f"{MAP}lastmod")]

    assert lastmod == ["2026-11-20T12:00:00+00:00", "2026-11-20T14:00:00+00:00"]
    assert index == lastmod[1]
    assert lastmod[1] in fetched(client, "/sitemaps/topics-1.xml")


def revised(session: Session, headline: str, kind: ChangeKind, lead: str, at: timedelta) -> None:
    story = get_story(
        session, a_story(session, headline=headline, lead="It sold its cataloge.").story_id
    )
    story.lead = lead
    note = None if kind is ChangeKind.STYLE else NoteInput(text="The buyer is named.")
    editor = an_account(session, RoleName.STANDARDS, email=f"{headline}@example.com")
    revise_story(session, story, StoryChange(kind, "Changed", note), by=editor, now=NOON + at)
