"""From an empty house to a list with an audience from a file, and its first digest looked at.

With NIF_SHOTS=<folder> each step is saved as a picture: see docs/admins/first-list.md.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.journeys.hand import SOON, Hand
from tests.journeys.house import House, until
from tests.journeys.test_a_new_editor import answers, publishes, writes

EMAIL, PASSWORD = "ada@example.com", "a few words to remember"
CONSENT_SOURCE = (
    "Signed up for our letter on the old site, 2021 to 2026, with a confirmation by mail."
)
READERS = """Email Address;First Name;MEMBER_STATUS;CONFIRM_TIME
ann@example.com;Ann;subscribed;2024-05-01 10:00:00
BEA@Example.com;Béa;subscribed;2023-01-02 11:00:00
bea@example.com;Bea again;subscribed;2023-01-02 11:00:00
cy@example.com;Cy;unsubscribed;2022-07-08 09:30:00
dee@example.com;Dee;cleaned;2022-01-01 09:30:00
not an address;Eve;subscribed;
fay@b\u00fccher.example;Fay;subscribed;2025-05-05 12:00:00
"""
pytestmark = pytest.mark.browser


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """With nothing in it but its tables."""
    with House(tmp_path, f"sqlite:///{tmp_path}/nif.db") as house:
        assert house.run("db", "upgrade").returncode == 0
        house.start("serve")
        house.start("worker")
        yield house


def test_a_new_admin_has_an_audience_and_looks_at_the_first_digest(
    browser: Browser, house: House, tmp_path: Path
) -> None:
    made = house.run("account", "create", "--email", EMAIL, "--role", "admin", "--name", "Ada Obi")
    file = tmp_path / "readers.csv"
    file.write_bytes(READERS.encode("cp1252"))
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    hand = Hand(context.new_page())
    comes_in(hand, house, made.stdout.strip())
    founds_a_list(hand)
    brings_readers(hand, file)
    hand.page.goto(f"{house.url}/newsroom/")
    hand.click("text=Write a story")
    writes(hand)
    answers(hand)
    publishes(hand)
    looks_at_the_digest(hand, house)
    print(hand.cost())
    assert hand.clicks <= 30
    assert hand.fields <= 40
    context.close()


def comes_in(hand: Hand, house: House, link: str) -> None:
    hand.page.goto(link)
    hand.step("password", "password")
    hand.write("#password", PASSWORD)
    hand.write("#password_confirm", PASSWORD)
    hand.click("main button")
    hand.page.goto(f"{house.url}/login")
    hand.write("#email", EMAIL)
    hand.write("#password", PASSWORD)
    hand.click("main button")
    hand.page.wait_for_url(lambda url: "/login" not in url)
    hand.page.goto(f"{house.url}/admin/")
    hand.step("empty", "There is no list yet.")


def founds_a_list(hand: Hand) -> None:
    hand.click("text=Create the first one")
    hand.write("#title", "NIF Daily")
    hand.write("#slug", "daily")
    hand.write("#description", "What moved in the music industry, and what stands behind it.")
    hand.step("new-list", "New list")
    hand.click("main form button")
    hand.step("list", "No new stories, so nothing will be sent")


def brings_readers(hand: Hand, file: Path) -> None:
    page = hand.page
    hand.click("text=Import…")
    page.set_input_files("#file", file)
    hand.fields += 1
    hand.step("file", "Import subscribers")
    hand.click("main form button")
    hand.step("columns", "Nothing is imported yet")
    expect(page.locator("main")).to_contain_text("fay@xn--bcher-kva.example")
    hand.write("#consent_source", CONSENT_SOURCE)
    hand.choose("#confirmed-yes")
    hand.click("text=Check the whole file")
    page.wait_for_selector("text=What would happen", timeout=SOON)
    hand.step("checked", "What would happen")
    for verdict, count in (("New", 3), ("Already there", 1), ("Skipped", 2), ("Invalid", 1)):
        row = page.locator("table.stat-table tr", has_text=verdict).first
        expect(row).to_contain_text(str(count))
    hand.click("text=Import: 3 new")
    page.wait_for_selector("text=What happened", timeout=SOON)
    hand.step("imported", "Rows with problems")
    hand.click(".breadcrumb >> text=NIF Daily")
    expect(page.locator(".list-head")).to_contain_text("3")


def looks_at_the_digest(hand: Hand, house: House) -> None:
    page = hand.page
    page.goto(f"{house.url}/admin/lists/daily")
    hand.click("text=Preview email")
    mail = page.frame_locator(".mail-parts iframe").locator("body")
    expect(mail).to_contain_text("Ombra Sound Opens Its Books")
    expect(mail).to_contain_text("Disclosures & Transparency Block")
    hand.step("preview", "As subscribers would receive it")
    hand.click("text=Send me a test copy")
    hand.step("copy", "A test copy is on its way")

    def has_come() -> bool:
        page.goto(f"{house.url}/outbox")
        return page.locator("main li", has_text="[Test]").count() > 0

    until(has_come, "the copy is in the outbox", seconds=30)
    assert page.locator("main li").count() == 1
