"""The main job end to end, for a reader and an editor."""

import re
import time
from datetime import datetime, timedelta
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Page

from nif.demo.loader import DEMO_PASSWORD, REAL_STORY_SLUG
from nif.web.public.signup_guard import MIN_FORM_SECONDS
from tests.journeys.installation import Installation

READER = "ann@example.org"
ANSWERS = {"origin": "monitoring", "relationships": "none", "money": "none", "ai": "none"}


@pytest.mark.browser
def test_a_reader_subscribes_receives_the_digest_and_unsubscribes(
    page: Page, installation: Installation
) -> None:
    installation.start("worker")
    subscribe_below_the_story(page, installation)
    confirm_from_the_mail(page, installation)
    publish_a_story(page, installation)

    due = compose_due_digest(installation)
    subject = "Lumen Sync Opens Its Books"
    installation.wait_for_mail(subject)
    page.goto(f"{installation.url}/outbox")
    page.get_by_role("link", name=re.compile(subject)).first.click()
    text = page.locator("pre").inner_text()
    assert "This story was written with information from The Turntable Gazette." in text
    assert "We covered it because it's news regarding royalty audits." in text
    unsubscribe_with_one_click(page)

    publish_a_story(page, installation, "Lumen Sync Hires an Auditor")
    later = (due + timedelta(days=1)).isoformat()
    assert re.search(
        r"^audience +0$", installation.run("digest", "due", "--now", later).stdout, re.M
    )
    assert "Lumen Sync Hires an Auditor" not in installation.outbox()


def subscribe_below_the_story(page: Page, installation: Installation) -> None:
    page.goto(f"{installation.url}/articles/{REAL_STORY_SLUG}")
    assert "Anna’s Archive" in page.get_by_role("heading", level=1).inner_text()
    time.sleep(MIN_FORM_SECONDS + 0.1)  # A person takes longer than a script.
    page.get_by_label("Your email address").fill(READER)
    page.get_by_role("button", name="Subscribe").click()
    assert page.get_by_role("heading", level=1).inner_text() == "Check your inbox"


def confirm_from_the_mail(page: Page, installation: Installation) -> None:
    installation.wait_for_mail("Confirm: NIF Daily")
    page.goto(f"{installation.url}/outbox")
    page.get_by_role("link", name="Confirm: NIF Daily").click()
    page.goto(re.search(r"http\S+/confirm/\S+", page.locator("pre").inner_text())[0])
    page.get_by_role("button", name="Yes, subscribe me").click()
    assert "Welcome" in page.get_by_role("heading", level=1).inner_text()


def publish_a_story(
    page: Page, installation: Installation, headline: str = "Lumen Sync Opens Its Books"
) -> None:
    sign_in(page, installation)
    page.goto(f"{installation.url}/newsroom/stories/new")
    page.wait_for_selector("html[data-story-form=ready]")
    page.get_by_label("Headline").fill(headline)
    page.get_by_label("Lead", exact=True).fill("Lumen Sync has let auditors in.")
    page.locator("[name='sections-0-label']").fill("Why it matters:")
    bullets = page.get_by_role("textbox", name="Bullets, one per line").first
    bullets.click()
    page.keyboard.type("Nobody had before.")
    page.locator("[name='sources-0-publisher']").fill("The Turntable Gazette")
    page.locator("[name='sources-0-url']").fill("https://example.com/lumen")
    page.locator("[name='reason_code']").select_option("topic_news")
    page.locator("[name='reason_subject']").fill("royalty audits")
    for question, answer in ANSWERS.items():
        page.locator(f"[name='{question}'][value='{answer}']").check()
    page.get_by_role("button", name="Publish…").first.click()
    page.wait_for_url("**/publish")
    page.get_by_role("button", name="Publish now").click()
    page.locator("main .notice a").click()
    assert page.get_by_role("heading", level=1).inner_text() == headline


def sign_in(page: Page, installation: Installation) -> None:
    page.goto(f"{installation.url}/login")
    if page.get_by_label("Email").count():
        page.get_by_label("Email").fill("editor@example.com")
        page.get_by_label("Password").fill(DEMO_PASSWORD)
        page.get_by_role("button", name=re.compile("Sign in|Log in|Login")).click()


def compose_due_digest(installation: Installation) -> datetime:
    """Compose the next digest as if its slot had come, and return the slot's time."""
    preview = installation.run("digest", "preview", "--list", "daily").stdout
    due = datetime.fromisoformat(re.search(r"^due +(.+)$", preview, re.M)[1])
    assert "frozen" in installation.run("digest", "due", "--now", due.isoformat()).stdout
    return due


def unsubscribe_with_one_click(page: Page) -> None:
    """Unsubscribe as a mail program does (RFC 8058): a POST without cookies and redirects."""
    headers = page.locator(".mail-headers").inner_text()
    address = re.search(r"<(http\S+/unsubscribe/\S+)>", headers)[1]
    request = Request(address, data=b"List-Unsubscribe=One-Click", method="POST")
    with urlopen(request) as answer:
        assert (answer.status, answer.url) == (200, address)
        assert answer.headers["Set-Cookie"] is None
