"""From the invitation mail of a new editor to a published story with a full block.

No manual is needed: each page says what to do next. With NIF_SHOTS=<folder> each step is saved as a
screenshot at two widths, and the number of clicks is printed: see docs/editors/first-story.md.
"""

import pytest
from playwright.sync_api import Browser, expect

from nif.demo.loader import DEMO_PASSWORD
from tests.journeys.browsing import open_context
from tests.journeys.counted_user import CountedUser
from tests.journeys.installation import Installation

PASSWORD = "a few words to remember"
READY = "html[data-story-form=ready]"
pytestmark = pytest.mark.browser


def invite_editor(browser: Browser, installation: Installation) -> str:
    """Invite an editor as an admin, and return the address of the invitation mail in the outbox."""
    page = open_context(browser).new_page()
    page.goto(f"{installation.url}/login")
    page.fill("#email", "admin@example.com")
    page.fill("#password", DEMO_PASSWORD)
    page.click("main button")
    page.wait_for_url(lambda url: "/login" not in url)
    page.goto(f"{installation.url}/admin/team")
    page.fill("#name", "Nia Otieno")
    page.fill("#email", "nia@example.com")
    page.select_option("#role", "editor")
    page.click("section[aria-labelledby=invite] button")
    expect(page.locator("main")).to_contain_text("The email is on its way")

    installation.wait_for_mail("nia@example.com")
    page.goto(f"{installation.url}/outbox")
    page.locator("main li", has_text="nia@example.com").locator("a").click()
    address = page.url
    page.close()
    return address


def test_a_new_editor_publishes_a_whole_story(browser: Browser, installation: Installation) -> None:
    installation.start("worker")
    mail_address = invite_editor(browser, installation)
    context = open_context(browser, viewport={"width": 1280, "height": 800})
    user = CountedUser(context.new_page())
    accept_invitation(user, installation, mail_address)
    write_story(user)
    answer_declarations(user)
    publish_story(user)
    print(user.summary())
    assert user.clicks <= 12
    assert user.fields <= 30
    context.close()


def accept_invitation(user: CountedUser, installation: Installation, mail_address: str) -> None:
    page = user.page
    page.goto(mail_address)
    user.step("invitation", "Accept the invitation")
    user.click("pre a[href*='/invitation/']")
    user.step("welcome", "Choose a password")
    user.fill("#password", PASSWORD)
    user.fill("#again", PASSWORD)
    user.click("main button")
    user.step("password-set", "Sign in with it")
    user.click("main a.button")
    user.fill("#email", "nia@example.com")
    user.fill("#password", PASSWORD)
    user.step("sign-in", "Sign in")
    user.click("main button")
    user.step("second-factor", "second factor")
    page.goto(f"{installation.url}/newsroom/")
    user.step("newsroom", "Write a story")
    user.click("text=Write a story")


def write_story(user: CountedUser) -> None:
    page = user.page
    page.wait_for_selector(READY)
    user.step("blank", "Headline")
    user.fill("#headline", "Ombra Sound Opens Its Books")
    user.fill("#dek", "Auditors may look")
    user.fill("#lead", "Ombra Sound has let auditors in.")
    user.fill("#sections-0-label", "Why it matters:")
    page.get_by_role("textbox", name="Bullets, one per line").first.click()
    page.keyboard.type("Nobody had ")
    page.keyboard.press("Control+b")
    page.keyboard.type("ever")
    page.keyboard.press("Control+b")
    page.keyboard.type(" done it.")
    page.keyboard.press("Enter")
    page.keyboard.type("It may spread.")
    user.fields += 1
    page.get_by_role("button", name="Cite source 1").first.click()
    user.clicks += 1
    expect(page.locator("textarea[name=sections-0-bullets]")).to_have_value(
        "Nobody had **ever** done it.\nIt may spread. [1]"
    )
    user.step("text", "Saved at")
    user.fill("#sources-0-publisher", "The Turntable Gazette")
    user.fill("#sources-0-url", "https://example.com/ombra")
    user.fill("#sources-0-taken", "The facts")
    page.locator("#sources-0-publisher").scroll_into_view_if_needed()
    user.step("sources", "Sources")


def answer_declarations(user: CountedUser) -> None:
    page = user.page
    user.choose("#reason_code", "topic_news")
    user.fill("#reason_subject", "royalty audits")
    expect(page.locator("#origin_by")).to_be_hidden()
    user.choose("#origin-pitched")
    user.fill("#origin_by", "Ombra Sound")
    for answer in ("#origin-monitoring", "#relationships-none", "#money-none", "#ai-none"):
        user.choose(answer)
    page.locator("#ai-none").scroll_into_view_if_needed()
    user.step("answers", "All checks pass")
    page.keyboard.press("Control+Shift+P")
    expect(page.locator("#live-preview strong")).to_have_text("ever")
    expect(page.locator("#live-preview [data-place=card]")).to_contain_text("Auditors may look")


def publish_story(user: CountedUser) -> None:
    page = user.page
    user.click("text=Publish…")
    user.step("check", "Publish this story?")
    user.click("text=Publish now")
    page.wait_for_selector("main .notice a")
    user.step("published", "Ombra Sound Opens Its Books")
    user.click("main .notice a")
    expect(page.locator("main")).to_contain_text("We covered it because it’s news regarding")
    assert page.locator("main strong").inner_text() == "ever"
    page.locator("#transparency, [data-block], .transparency").first.scroll_into_view_if_needed()
    user.step("story", "Disclosures & Transparency Block")
