"""From an empty installation to a list with imported subscribers and a preview of its first digest.

With NIF_SHOTS=<folder> each step is saved as a picture: see docs/admins/first-list.md.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.journeys.browsing import open_context
from tests.journeys.counted_user import CountedUser
from tests.journeys.installation import Installation
from tests.journeys.test_new_editor import answer_declarations, publish_story, write_story

EMAIL, PASSWORD = "ada@example.com", "a few words to remember"
CONSENT_SOURCE = (
    "Signed up for our newsletter on the old site, 2021 to 2026, with a confirmation by mail."
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
def installation(tmp_path: Path) -> Iterator[Installation]:
    """An installation with an empty database."""
    with Installation(tmp_path, f"sqlite:///{tmp_path}/nif.db") as installation:
        assert installation.run("db", "upgrade").returncode == 0
        installation.start("serve")
        installation.start("worker")
        yield installation


def test_a_new_admin_imports_subscribers_and_previews_the_first_digest(
    browser: Browser, installation: Installation, tmp_path: Path
) -> None:
    created = installation.run(
        "account", "create", "--email", EMAIL, "--role", "admin", "--name", "Ada Obi"
    )
    file = tmp_path / "readers.csv"
    file.write_bytes(READERS.encode("cp1252"))
    context = open_context(browser, viewport={"width": 1280, "height": 800})
    user = CountedUser(context.new_page())
    set_password(user, installation, created.stdout.strip())
    create_list(user)
    import_readers(user, file)
    user.page.goto(f"{installation.url}/newsroom/")
    user.click("text=Write a story")
    write_story(user)
    answer_declarations(user)
    publish_story(user)
    preview_digest(user, installation)
    print(user.summary())
    assert user.clicks <= 30
    assert user.fields <= 40
    context.close()


def set_password(user: CountedUser, installation: Installation, link: str) -> None:
    user.page.goto(link)
    user.step("password", "password")
    user.fill("#password", PASSWORD)
    user.fill("#password_confirm", PASSWORD)
    user.click("main button")
    user.page.goto(f"{installation.url}/login")
    user.fill("#email", EMAIL)
    user.fill("#password", PASSWORD)
    user.click("main button")
    user.page.wait_for_url(lambda url: "/login" not in url)
    user.page.goto(f"{installation.url}/admin/")
    user.step("empty", "There is no list yet.")


def create_list(user: CountedUser) -> None:
    user.click("text=Create the first one")
    user.fill("#title", "NIF Daily")
    user.fill("#slug", "daily")
    user.fill("#description", "What moved in the music industry, and what stands behind it.")
    user.step("new-list", "New list")
    user.click("main form button")
    user.step("list", "No new stories, so nothing will be sent")


def import_readers(user: CountedUser, file: Path) -> None:
    page = user.page
    user.click("text=Import…")
    page.set_input_files("#file", file)
    user.fields += 1
    user.step("file", "Import subscribers")
    user.click("main form button")
    user.step("columns", "Nothing is imported yet")
    expect(page.locator("main")).to_contain_text("fay@xn--bcher-kva.example")
    user.fill("#consent_source", CONSENT_SOURCE)
    user.choose("#confirmed-yes")
    user.click("text=Check the whole file")
    page.wait_for_selector("text=What would happen")
    user.step("checked", "What would happen")
    for verdict, count in (("New", 3), ("Already there", 1), ("Skipped", 2), ("Invalid", 1)):
        row = page.locator("table.stat-table tr", has_text=verdict).first
        expect(row).to_contain_text(str(count))
    user.click("text=Import: 3 new")
    page.wait_for_selector("text=What happened")
    user.step("imported", "Rows with problems")
    user.click(".breadcrumb >> text=NIF Daily")
    expect(page.locator(".list-head")).to_contain_text("3")


def preview_digest(user: CountedUser, installation: Installation) -> None:
    page = user.page
    page.goto(f"{installation.url}/admin/lists/daily")
    user.click("text=Preview email")
    mail = page.frame_locator(".mail-parts iframe").locator("body")
    expect(mail).to_contain_text("Ombra Sound Opens Its Books")
    expect(mail).to_contain_text("Disclosures & Transparency Block")
    user.step("preview", "As subscribers would receive it")
    user.click("text=Send me a test copy")
    user.step("copy", "A test copy is on its way")

    installation.wait_for_mail("[Test]")
    page.goto(f"{installation.url}/outbox")
    assert page.locator("main li").count() == 1
