"""From the letter that invites a new editor to a published story with a whole block.

No manual: each step's page says what the next one is. With NIF_SHOTS=<folder> each step is saved as
a picture at two widths, and what the way costs is printed: see docs/editors/first-story.md.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from nif.demo.loader import DEMO_PASSWORD
from tests.journeys.hand import Hand
from tests.journeys.house import House, until

PASSWORD = "a few words to remember"
READY = "html[data-story-form=ready]"
pytestmark = pytest.mark.browser


@pytest.fixture
def house(demo: Path, tmp_path: Path) -> Iterator[House]:
    shutil.copytree(demo, tmp_path, dirs_exist_ok=True)
    with House(tmp_path, f"sqlite:///{tmp_path}/nif.db") as house:
        house.start("serve")
        house.start("worker")
        yield house


def invited(browser: Browser, house: House) -> str:
    """The address in the outbox of the letter that an admin's invitation made."""
    page = browser.new_page()
    page.goto(f"{house.url}/login")
    page.fill("#email", "admin@example.com")
    page.fill("#password", DEMO_PASSWORD)
    page.click("main button")
    page.wait_for_url(lambda url: "/login" not in url)
    page.goto(f"{house.url}/admin/team")
    page.fill("#name", "Nia Otieno")
    page.fill("#email", "nia@example.com")
    page.select_option("#role", "editor")
    page.click("section[aria-labelledby=invite] button")
    expect(page.locator("main")).to_contain_text("The email is on its way")

    def has_come() -> bool:
        page.goto(f"{house.url}/outbox")
        return page.locator("main li", has_text="nia@example.com").count() > 0

    until(has_come, "the letter is in the outbox", seconds=30)
    page.locator("main li", has_text="nia@example.com").locator("a").click()
    address = page.url
    page.close()
    return address


def test_a_new_editor_publishes_a_whole_story(browser: Browser, house: House) -> None:
    letter = invited(browser, house)
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    hand = Hand(context.new_page())
    comes_in(hand, house, letter)
    writes(hand)
    answers(hand)
    publishes(hand)
    print(hand.cost())
    assert hand.clicks <= 12
    assert hand.fields <= 30
    context.close()


def comes_in(hand: Hand, house: House, letter: str) -> None:
    page = hand.page
    page.goto(letter)
    hand.step("invitation", "Accept the invitation")
    hand.click("pre a[href*='/invitation/']")
    hand.step("welcome", "Choose a password")
    hand.write("#password", PASSWORD)
    hand.write("#again", PASSWORD)
    hand.click("main button")
    hand.step("password-set", "Sign in with it")
    hand.click("main a.button")
    hand.write("#email", "nia@example.com")
    hand.write("#password", PASSWORD)
    hand.step("sign-in", "Sign in")
    hand.click("main button")
    hand.step("second-factor", "second factor")
    page.goto(f"{house.url}/newsroom/")
    hand.step("newsroom", "Write a story")
    hand.click("text=Write a story")


def writes(hand: Hand) -> None:
    page = hand.page
    page.wait_for_selector(READY)
    hand.step("blank", "Headline")
    hand.write("#headline", "Ombra Sound Opens Its Books")
    hand.write("#dek", "Auditors may look")
    hand.write("#lead", "Ombra Sound has let auditors in.")
    hand.write("#sections-0-label", "Why it matters:")
    page.get_by_role("textbox", name="Bullets, one per line").first.click()
    page.keyboard.type("Nobody had ")
    page.keyboard.press("Control+b")
    page.keyboard.type("ever")
    page.keyboard.press("Control+b")
    page.keyboard.type(" done it.")
    page.keyboard.press("Enter")
    page.keyboard.type("It may spread.")
    hand.fields += 1
    page.get_by_role("button", name="Cite source 1").first.click()
    hand.clicks += 1
    expect(page.locator("textarea[name=sections-0-bullets]")).to_have_value(
        "Nobody had **ever** done it.\nIt may spread. [1]"
    )
    hand.step("text", "Saved at")
    hand.write("#sources-0-publisher", "The Turntable Gazette")
    hand.write("#sources-0-url", "https://example.com/ombra")
    hand.write("#sources-0-taken", "The facts")
    page.locator("#sources-0-publisher").scroll_into_view_if_needed()
    hand.step("sources", "Sources")


def answers(hand: Hand) -> None:
    page = hand.page
    hand.choose("#reason_code", "topic_news")
    hand.write("#reason_subject", "royalty audits")
    expect(page.locator("#origin_by")).to_be_hidden()
    hand.choose("#origin-pitched")
    hand.write("#origin_by", "Ombra Sound")
    for answer in ("#origin-monitoring", "#relationships-none", "#money-none", "#ai-none"):
        hand.choose(answer)
    page.locator("#ai-none").scroll_into_view_if_needed()
    hand.step("answers", "All checks pass.")
    page.keyboard.press("Control+Shift+P")
    expect(page.locator("#live-preview strong")).to_have_text("ever")
    expect(page.locator("#live-preview [data-place=card]")).to_contain_text("Auditors may look")


def publishes(hand: Hand) -> None:
    page = hand.page
    hand.click("text=Publish…")
    hand.step("check", "Publish this story?")
    hand.click("text=Publish now")
    page.wait_for_selector("main .notice a")
    hand.step("published", "Ombra Sound Opens Its Books")
    hand.click("main .notice a")
    expect(page.locator("main")).to_contain_text("We covered it because it’s news regarding")
    assert page.locator("main strong").inner_text() == "ever"
    page.locator("#transparency, [data-block], .transparency").first.scroll_into_view_if_needed()
    hand.step("story", "Disclosures & Transparency Block")
