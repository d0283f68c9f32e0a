"""The seed story's page: its parts in their order, its weight, its manners."""

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
from tests.journeys.house import House
from tests.journeys.open_to_all import obstacles

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
def house(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One house for all of these tests: they only look, and any database will do."""
    folder = Path(shutil.copytree(demo, tmp_path_factory.mktemp("house"), dirs_exist_ok=True))
    with House(folder, f"sqlite:///{folder}/nif.db") as house:
        house.start("serve")
        yield house


def fetched(house: House) -> str:
    with urlopen(f"{house.url}/articles/{REAL_STORY_SLUG}") as answer:
        return answer.read().decode()


@pytest.mark.browser
def test_every_part_of_the_seed_stands_in_its_order_and_once(page: Page, house: House) -> None:
    page.goto(f"{house.url}/articles/{REAL_STORY_SLUG}")
    text = page.locator("main").inner_text()

    places = [text.index(part) for part in PARTS]
    assert places == sorted(places)
    # The cards of related stories have a reading time too; every other part is the story's own.
    assert [text.count(part) for part in PARTS[1:]] == [1] * (len(PARTS) - 1)
    assert page.locator("time").first.inner_text()
    assert "By Jo Reyes" in text


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_readers_pages_are_open_to_everyone(
    browser: Browser, house: House, width: int, scheme: str
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
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
        page.goto(house.url + path)
        assert (path, obstacles(page)) == (path, [])
    context.close()


@pytest.mark.browser
def test_reading_and_subscribing_need_no_script(browser: Browser, house: House) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{house.url}/articles/{REAL_STORY_SLUG}")
    page.wait_for_timeout(2100)
    page.fill("#email", "no-script@example.org")
    page.click("form.join button")
    assert page.url.endswith("/subscribe/check-your-inbox")
    assert context.cookies() == []
    context.close()


def test_the_page_is_light_valid_and_asks_no_other_house(house: House) -> None:
    html = fetched(house)

    assert len(gzip.compress(html.encode())) < 30_000
    html5lib.HTMLParser(strict=True).parse(html)
    loaded = re.findall(r"<(?:img|script|iframe|link)[^>]+(?:src|href)=\"([^\"]+)", html)
    own = (house.url, "/")
    assert [address for address in loaded if not address.startswith(own)] == []
    assert "<script" not in html.replace('<script type="application/ld+json">', "")


def test_the_story_for_machines_says_what_the_page_says(house: House) -> None:
    html = fetched(house)
    story = json.loads(re.search(r'ld\+json">(.+?)</script>', html)[1])

    assert story["@type"] == "NewsArticle"
    assert story["headline"] == PARTS[1]
    assert story["url"] == f"{house.url}/articles/{REAL_STORY_SLUG}"
    assert story["wordCount"] == 224
    assert story["timeRequired"] == "PT1M"
    assert story["author"] == [{"@type": "Person", "name": "Jo Reyes"}]
    assert story["backstory"]["text"] == f"{PARTS[15]} {PARTS[16]}"
    assert story["isBasedOn"][0]["publisher"]["name"] == "Digital Music News"
    assert story["datePublished"] in html


def test_the_seed_is_the_captured_story_to_the_letter(house: House) -> None:
    seed = Path(__file__).parents[3] / "shared" / "seed" / "story.txt"
    if not seed.exists():
        pytest.skip("the captured story is not beside this repository")
    page = fetched(house)
    words = re.sub(r"<[^>]+>", " ", page)
    for line in seed.read_text().splitlines():
        line = line.strip(" •👋📨👇\u00a0").replace("'", "’")
        assert line.replace("&", "&amp;") in words


@pytest.fixture
def another_site(house: House, tmp_path: Path) -> Iterator[str]:
    """The address of a site that shows pages of ours in frames: "form" and "page"."""
    shown = {"form": "/embed/daily", "page": "/subscribe/daily"}
    frames = [f'<iframe name="{k}" src="{house.url}{path}"></iframe>' for k, path in shown.items()]
    (tmp_path / "index.html").write_text("".join(frames))
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/index.html"
        server.shutdown()


@pytest.mark.browser
def test_another_site_can_frame_the_form_of_a_list_and_no_other_page(
    page: Page, another_site: str
) -> None:
    page.goto(another_site)

    form = page.frame_locator("[name=form]")
    form.locator("#email").fill("ann")
    form.get_by_role("button").click()

    form.locator("#email-problem").wait_for()
    assert form.locator("#email").input_value() == "ann"
    assert page.frame_locator("[name=page]").locator("#email").count() == 0
    assert page.context.cookies() == []
