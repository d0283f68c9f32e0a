"""The seed story's page: its parts in order, its size, its behaviour."""

import gzip
import json
import re
import shutil
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.request import urlopen

import html5lib
import pytest
from playwright.sync_api import Browser, Page

from nif.demo.loader import REAL_STORY_SLUG
from nif.web.public.signup_guard import MIN_FORM_SECONDS
from tests.journeys.accessibility import violations_in_both_looks
from tests.journeys.browsing import open_context
from tests.journeys.installation import Installation

PARTS = (
    "1 min read",
    "NVIDIA Accused of Training Its AI on Anna’s Archive",
    "The allegation follows its “responsible AI” deal with UMG",
    "Leading chip-making company NVIDIA has been accused of training its AI",
    "Backstory:",
    "As per Digital Music News (DMN), the accusations have surfaced",
    "The initial suit claimed the company’s AI models",
    "Alleged collaboration:",
    "The authors cite several internal NVIDIA emails",
    "This despite being warned by Anna’s Archive",
    "Why it matters:",
    "The news comes weeks after UMG and NVIDIA announced",
    "Anna’s Archive is being sued by Spotify",
    "As DMN points out, while UMG may not have known",
    "Disclosures & Transparency Block",
    "This story was written with information from Digital Music News.",
    "We covered it because it’s news regarding AI training on copyrighted material.",
    "Subscribe to NIF",
    "Get news dropped in your inbox",
    "Related Articles",
)
PICTURED = "palisade-records-buys-4-100-song-quillfeather-catalogue"


@pytest.fixture(scope="module")
def installation(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """One installation for all these tests, which change nothing."""
    folder = Path(
        shutil.copytree(demo, tmp_path_factory.mktemp("installation"), dirs_exist_ok=True)
    )
    with Installation(folder, f"sqlite:///{folder}/nif.db") as installation:
        installation.start("serve")
        yield installation


def fetched(installation: Installation) -> str:
    with urlopen(f"{installation.url}/articles/{REAL_STORY_SLUG}") as answer:
        return answer.read().decode()


@pytest.mark.browser
def test_every_part_of_the_seed_story_appears_once_and_in_order(
    page: Page, installation: Installation
) -> None:
    page.goto(f"{installation.url}/articles/{REAL_STORY_SLUG}")
    text = page.locator("main").inner_text()

    places = [text.index(part) for part in PARTS]
    assert places == sorted(places)
    # The cards of related stories have a reading time too; every other part is the story's own.
    assert [text.count(part) for part in PARTS[1:]] == [1] * (len(PARTS) - 1)
    assert page.locator("time").first.inner_text()
    assert "By Jo Reyes" in text


@pytest.mark.browser
def test_readers_pages_are_accessible(browser: Browser, installation: Installation) -> None:
    context = open_context(browser)
    page = context.new_page()
    for path in (
        "/",
        f"/articles/{REAL_STORY_SLUG}",
        "/embed/daily",
        f"/articles/{PICTURED}",
        "/tags/ai-training",
        "/newsletters/",
        "/newsletters/daily/",
        "/subscribe",
        "/subscribe/check-your-inbox",
        "/subscribe/daily/welcome",
        "/preferences",
        "/manifesto",
        "/policies/",
        "/policies/ai-and-reuse",
        "/policies/feedback",
        "/outbox",
        "/login",
        "/nowhere",
    ):
        page.goto(installation.url + path)
        assert (path, violations_in_both_looks(page)) == (path, [])
    context.close()


@pytest.mark.browser
def test_reading_and_subscribing_need_no_script(
    browser: Browser, installation: Installation
) -> None:
    context = open_context(browser, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{installation.url}/articles/{REAL_STORY_SLUG}")
    page.wait_for_timeout(1000 * MIN_FORM_SECONDS + 100)
    page.fill("#email", "no-script@example.org")
    page.click("form.form-card button")
    assert page.url.endswith("/subscribe/check-your-inbox")
    assert context.cookies() == []
    context.close()


def test_the_page_is_small_and_valid_and_loads_nothing_from_elsewhere(
    installation: Installation,
) -> None:
    html = fetched(installation)

    assert len(gzip.compress(html.encode())) < 30_000
    html5lib.HTMLParser(strict=True).parse(html)
    loaded = re.findall(r"<(?:img|script|iframe|link)[^>]+(?:src|href)=\"([^\"]+)", html)
    own = (installation.url, "/")
    assert [address for address in loaded if not address.startswith(own)] == []
    assert "<script" not in html.replace('<script type="application/ld+json">', "")


def test_the_structured_data_matches_the_page(installation: Installation) -> None:
    html = fetched(installation)
    story = json.loads(re.search(r'ld\+json">(.+?)</script>', html)[1])

    assert story["@type"] == "NewsArticle"
    assert story["headline"] == PARTS[1]
    assert story["url"] == f"{installation.url}/articles/{REAL_STORY_SLUG}"
    assert story["wordCount"] == 224
    assert story["timeRequired"] == "PT1M"
    assert story["author"] == [{"@type": "Person", "name": "Jo Reyes"}]
    assert story["backstory"]["text"] == f"{PARTS[15]} {PARTS[16]}"
    assert story["isBasedOn"][0]["publisher"]["name"] == "Digital Music News"
    assert story["datePublished"] in html


def test_the_seed_story_equals_the_captured_one(installation: Installation) -> None:
    seed = Path(__file__).parents[3] / "shared" / "seed" / "story.txt"
    if not seed.exists():
        pytest.skip("the captured story is not beside this repository")
    page = fetched(installation)
    words = re.sub(r"<[^>]+>", " ", page)
    for line in seed.read_text().splitlines():
        line = line.strip(" •👋📨👇\u00a0").replace("'", "’")
        assert line.replace("&", "&amp;") in words


@pytest.fixture
def another_site(installation: Installation, tmp_path: Path) -> Iterator[str]:
    """The address of another site that frames two of NIF's pages: "form" and "page"."""
    shown = {"form": "/embed/daily", "page": "/subscribe/daily"}
    frames = [
        f'<iframe name="{k}" src="{installation.url}{path}"></iframe>' for k, path in shown.items()
    ]
    (tmp_path / "index.html").write_text("".join(frames))
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/index.html"
        server.shutdown()


@pytest.mark.browser
def test_another_site_can_frame_only_the_sign_up_form(page: Page, another_site: str) -> None:
    page.goto(another_site)

    form = page.frame_locator("[name=form]")
    form.locator("#email").fill("ann")
    form.get_by_role("button").click()

    form.locator("#email-problem").wait_for()
    assert form.locator("#email").input_value() == "ann"
    assert page.frame_locator("[name=page]").locator("#email").count() == 0
    assert page.context.cookies() == []
