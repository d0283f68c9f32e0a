"""The policies exist, have real content, and keep their versions."""

from datetime import date

import html5lib
import pytest
from flask.testing import FlaskClient

from nif.database import Database
from nif.ledger.chain import PolicyVersion
from nif.web.public import policies
from nif.web.public.policies import POLICIES
from nif.web.public.story_metadata import POLICY_PROPERTIES
from tests.factories import a_story
from tests.web.public.channels import fetched, structured, words

# These pages say the same on any database.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

BASE = "http://127.0.0.1:8000"
FEWEST_WORDS = 300
SLUGS = {
    "manifesto",
    "ethics",
    "corrections",
    "ownership-and-funding",
    "verification",
    "unnamed-sources",
    "feedback",
    "bylines",
    "ai-and-reuse",
}
ADDRESSES = ["/manifesto", *(f"/policies/{slug}" for slug in sorted(SLUGS - {"manifesto"}))]


def text_of(page: str) -> str:
    """The policy's own words, without the list of its versions."""
    main = page.partition("<main")[2].partition("</main>")[0]
    return words("<main" + main.partition("<h2>Versions of this page</h2>")[0])


@pytest.mark.parametrize("path", ADDRESSES)
def test_a_policy_has_a_page_with_its_text(client: FlaskClient, path: str) -> None:
    page = fetched(client, path)

    html5lib.HTMLParser(strict=True).parse(page)
    assert len(text_of(page).split()) >= FEWEST_WORDS
    assert f'rel="canonical" href="{BASE}{path}"' in page
    assert "Version 1" in page
    assert '<time datetime="2026-11-22">22 November 2026</time>' in page


def test_every_policy_that_a_story_names_can_be_read(
    client: FlaskClient, database: Database
) -> None:
    with database.transaction() as session:
        slug = a_story(session).slug
    story = structured(fetched(client, f"/articles/{slug}"))
    named = {name: story["publisher"][name] for name in POLICY_PROPERTIES}
    named |= {name: story[name] for name in ("publishingPrinciples", "usageInfo")}

    assert len(set(named.values())) == len(SLUGS)
    for address in named.values():
        page = fetched(client, address.removeprefix(BASE))
        assert len(text_of(page).split()) >= FEWEST_WORDS


def test_links_in_policies_lead_to_existing_pages(client: FlaskClient) -> None:
    for path in ("/policies/", *ADDRESSES):
        for part in fetched(client, path).split('href="/')[1:]:
            target = "/" + part.partition('"')[0]
            if target.startswith("/static/"):
                continue
            assert (path, target, client.get(target).status_code) == (path, target, 200)


def test_all_policies_are_listed_and_linked_from_every_footer(client: FlaskClient) -> None:
    index = fetched(client, "/policies/")
    html5lib.HTMLParser(strict=True).parse(index)

    assert set(POLICIES) == SLUGS
    assert [path for path in ADDRESSES if f'href="{path}"' not in index] == []
    foot = fetched(client, "/").partition('<footer class="site-footer">')[2]
    for path in ("/manifesto", "/policies/corrections", "/policies/ownership-and-funding"):
        assert f'href="{path}"' in foot


def test_former_versions_stay_readable(client: FlaskClient, monkeypatch) -> None:
    old, new = (a_text(n) for n in (1, 2))
    monkeypatch.setattr(policies, "POLICIES", {"ethics": [new, old]})
    page, former = (fetched(client, f"/policies/ethics{q}") for q in ("", "?version=1"))

    assert "The words of version 2." in page
    assert 'href="/policies/ethics?version=1"' in page
    assert "former version" not in page
    assert "The words of version 1." in former
    assert "This is a former version." in former
    assert '<meta name="robots" content="noindex">' in former
    assert fetched(client, "/policies/ethics?version=2") == page
    assert "since 2 January 2026: Reason 2." in former


def a_text(version: int) -> PolicyVersion:
    day = date(2026, 1, version)
    body = f"<p>The words of version {version}.</p>"
    reason, summary = f"Reason {version}.", "What we do."
    return PolicyVersion("ethics", version, "Ethics", reason, day, body, summary)


@pytest.mark.parametrize(
    "path",
    [
        "/policies/nothing",
        "/policies/manifesto",
        "/policies/ethics?version=2",
        "/policies/ethics?version=x",
        "/manifesto?version=0",
    ],
)
def test_an_unknown_policy_is_not_found(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 404
