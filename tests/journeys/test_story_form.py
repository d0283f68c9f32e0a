"""The story form in a browser: no text is lost, whatever happens."""

import random
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask_security import hash_password
from playwright.sync_api import Browser, Page, Route, expect

from nif.accounts.accounts import create_account
from nif.accounts.models import RoleName
from nif.app import build_app
from nif.clock import utc_now
from nif.services import Services, build_services
from nif.settings import load_settings
from nif.stories.text import parse_text_runs, split_source_references
from tests.journeys.accessibility import violations_in_both_looks
from tests.journeys.browsing import open_context
from tests.journeys.installation import Installation
from tests.waiting import wait_until

PASSWORD = "a few words to remember"
READY = "html[data-story-form=ready]"
pytestmark = pytest.mark.browser
Invite = Callable[..., Page]


@pytest.fixture(scope="module")
def installation(
    _sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """One installation for all these tests; the kind of database does not matter."""
    folder = tmp_path_factory.mktemp("installation")
    shutil.copy(_sqlite_template, folder / "nif.db")
    with Installation(folder, f"sqlite:///{folder}/nif.db") as installation:
        installation.start("serve")
        yield installation


@pytest.fixture(scope="module")
def services(installation: Installation) -> Iterator[Services]:
    services = build_services(
        load_settings(database_url=installation.environment["NIF_DATABASE_URL"])
    )
    yield services
    services.database.close()


@pytest.fixture(scope="module")
def _hashed(services: Services) -> str:
    with build_app(services).app_context():
        return str(hash_password(PASSWORD))


@pytest.fixture
def invite(
    browser: Browser, installation: Installation, services: Services, _hashed: str
) -> Iterator[Invite]:
    """Factory of new editors, each in a separate browser window with a controllable clock."""
    contexts = []
    browser_errors: list[str] = []

    def add_editor(name: str, **given: object) -> Page:
        email = f"{name.lower()}{random.randrange(10**9)}@example.com"
        with services.database.transaction() as session:
            create_account(session, email, name, RoleName.EDITOR, now=utc_now()).password = _hashed
        context = open_context(browser, **{"viewport": {"width": 1280, "height": 900}, **given})
        contexts.append(context)
        page = context.new_page()
        page.on(
            "console",
            lambda message: (
                browser_errors.append(message.text) if "Content Security" in message.text else None
            ),
        )
        page.on("pageerror", lambda error: browser_errors.append(str(error)))
        page.clock.install()
        page.goto(f"{installation.url}/login")
        page.fill("#email", email)
        page.fill("#password", PASSWORD)
        page.click("main button")
        return page

    yield add_editor
    for context in contexts:
        context.close()
    assert browser_errors == []


def wait_for_autosave(page: Page) -> None:
    """Advance the page's clock past the typing pause, and wait until the text is saved."""
    page.clock.fast_forward(3000)
    expect(page.locator("#save-status")).to_contain_text("Saved at")


def start_story(page: Page, installation: Installation, headline: str) -> None:
    """Open a new story and wait for its first autosave."""
    page.goto(f"{installation.url}/newsroom/stories/new")
    page.wait_for_selector(READY)
    page.fill("#headline", headline)
    wait_for_autosave(page)


def test_typing_before_the_scripts_load_continues_without_loss(
    invite: Invite, installation: Installation
) -> None:
    page = invite("Fay")
    held: list[Route] = []
    page.route("**/rich_bullets.js*", lambda route: held.append(route))
    with page.expect_request("**/rich_bullets.js*"):
        page.goto(f"{installation.url}/newsroom/stories/new", wait_until="commit")
    page.fill("#headline", "Faster Than Scripts")
    page.fill("#sections-0-label", "Why it matters:")
    page.click("textarea#sections-0-bullets")
    page.keyboard.type("Typed at once")
    held[0].continue_()
    page.wait_for_selector(READY)
    expect(page.locator("#save-status")).to_contain_text("Saved at")
    page.keyboard.type(", and on.")
    area = page.locator("textarea[name=sections-0-bullets]")
    expect(area).to_have_value("Typed at once, and on.")


def test_pressing_two_buttons_saves_once_and_follows_the_second(
    invite: Invite, installation: Installation
) -> None:
    page = invite("Gil")
    start_story(page, installation, "Two Buttons")
    form, posted = page.url, list[str]()
    page.on("request", lambda sent: posted.append(sent.url) if sent.method == "POST" else None)
    page.evaluate(
        """() => {
            const lead = document.querySelector("#lead");
            lead.value = "Typed just now.";
            lead.dispatchEvent(new Event("input", { bubbles: true }));
            ["stay", "publish", "publish"].forEach((name) =>
              document.querySelector(`.sticky-actions [name=then][value=${name}]`).click());
        }"""
    )
    page.wait_for_url("**/publish")
    assert posted.count(form) == 1, posted
    page.go_back()
    expect(page.locator("#lead")).to_have_value("Typed just now.")


def test_a_closed_tab_loses_nothing(invite: Invite, installation: Installation) -> None:
    page = invite("Cy")
    page.goto(f"{installation.url}/newsroom/stories/new")
    page.wait_for_selector(READY)
    page.fill("#headline", "Closed at Once")
    page.close(run_before_unload=True)
    other_tab = page.context.new_page()

    def has_story() -> bool:
        other_tab.goto(f"{installation.url}/newsroom/?mine=1")
        return "Closed at Once" in other_tab.inner_text("main")

    wait_until(has_story, "the last text is saved")


def test_text_typed_offline_is_restored(invite: Invite, installation: Installation) -> None:
    page = invite("Dee")
    start_story(page, installation, "Far From the Mast")
    address = page.url
    assert re.search(r"/stories/\d+$", address)
    page.context.set_offline(True)
    page.fill("#lead", "Typed in a tunnel.")
    page.clock.fast_forward(3000)
    expect(page.locator("#save-status")).to_contain_text("Offline")
    page.close()
    page.context.set_offline(False)
    again = page.context.new_page()
    again.goto(address)
    expect(again.locator("#lead")).to_have_value("")
    again.click("text=Restore it")
    again.wait_for_selector(READY)
    expect(again.locator("#lead")).to_have_value("Typed in a tunnel.")
    expect(again.locator("#save-status")).to_contain_text("Saved at")


def test_a_conflict_of_two_tabs_is_shown_and_merged(
    invite: Invite, installation: Installation
) -> None:
    first = invite("Eve")
    start_story(first, installation, "Two Tabs")
    second = first.context.new_page()
    second.goto(first.url)
    second.wait_for_selector(READY)
    second.fill("#dek", "Second’s dek")
    wait_for_autosave(second)
    first.fill("#lead", "First’s lead.")
    first.clock.fast_forward(3000)
    notice = first.locator("#edit-conflict")
    expect(notice).to_contain_text("You saved this story in another tab")
    notice.get_by_role("button", name="Merge field by field").click()
    first.check("#theirs-dek")
    first.click("text=Save the merged story")
    first.wait_for_selector(READY)
    expect(first.locator("#dek")).to_have_value("Second’s dek")
    expect(first.locator("#lead")).to_have_value("First’s lead.")


def test_a_second_editor_is_named_and_can_be_overwritten(
    invite: Invite, installation: Installation
) -> None:
    ann, bea = invite("Ann"), invite("Bea")
    start_story(ann, installation, "Two Editors")
    bea.goto(ann.url)
    bea.wait_for_selector(READY)
    expect(bea.locator("#presence")).to_contain_text("Ann is editing this story")
    bea.fill("#lead", "Bea’s lead.")
    wait_for_autosave(bea)
    ann.fill("#lead", "Ann’s lead.")
    ann.clock.fast_forward(3000)
    expect(ann.locator("#edit-conflict")).to_contain_text("Bea saved this")
    ann.get_by_role("button", name="Overwrite with mine").click()
    expect(ann.locator("#save-status")).to_contain_text("Saved at")
    ann.click("text=Versions of this story")
    expect(ann.locator("main")).to_contain_text("Bea")


def test_the_newsroom_is_accessible(invite: Invite, installation: Installation) -> None:
    page = invite("Fay")
    start_story(page, installation, "For Everyone")
    address = page.url
    for path in (
        address,
        f"{address}/versions",
        f"{installation.url}/newsroom/?q=every&state=draft",
    ):
        page.goto(path)
        page.wait_for_load_state("networkidle")
        if path == address:
            page.wait_for_selector(READY)
            page.click("#toggle-preview")
            expect(page.locator("#live-preview")).to_contain_text("For Everyone")
        assert (path, violations_in_both_looks(page)) == (path, [])


PASTED = """<html><body><!--StartFragment-->
<p class=MsoListParagraph style='mso-list:l0 level1 lfo1'><span style='mso-list:Ignore'>·<span
style='font:7.0pt "Times New Roman"'>&nbsp;&nbsp; </span></span>First <b>point</b><o:p></o:p></p>
<b style="font-weight:normal" id="docs-internal-guid-1"><ul><li style="list-style-type:disc">
<p><span style="font-weight:700">Second</span><span style="color:red"> is </span><a
href="https://example.com/a"><span style="font-style:italic">linked</span></a></p></li></ul></b>
<p><a href="javascript:alert(1)">Third</a><script>bad()</script><br>Fourth</p>
<!--EndFragment--></body></html>"""


def test_text_pasted_from_a_document_is_cleaned(invite: Invite, installation: Installation) -> None:
    page = invite("Gus")
    start_story(page, installation, "Pasted")
    page.get_by_role("textbox", name="Bullets, one per line").first.click()
    page.evaluate(
        """(html) => {
            const data = new DataTransfer();
            data.setData("text/html", html);
            data.setData("text/plain", "unused");
            const event = new ClipboardEvent("paste",
              { clipboardData: data, bubbles: true, cancelable: true });
            document.activeElement.dispatchEvent(event);
        }""",
        PASTED,
    )
    expect(page.locator("textarea[name=sections-0-bullets]")).to_have_value(
        "First **point**\n**Second** is [*linked*](https://example.com/a)\nThird\nFourth"
    )


def marked_characters(line: str) -> list[tuple[str, str, str | None]]:
    """The characters of a line with their marks and links; spaces carry no marks."""
    body, numbers = split_source_references(line)
    found = [
        (char, "" if char == " " else " ".join(sorted(run.marks)), run.address)
        if char != " "
        else (" ", "", None)
        for run in parse_text_runs(body)
        for char in run.text
    ]
    return [*found, (str(numbers), "", None)]


def random_lines(count: int) -> list[str]:
    generator = random.Random(7)
    parts = [*"ab *_[]()\\<>!`1é", "**", "***", "word ", "[x](https://e.com/a_b)", "\\*", " [1, 2]"]
    made = ("".join(generator.choices(parts, k=generator.randint(1, 12))) for _ in range(count))
    return [" ".join(line.split()) for line in made if line.strip()]


def test_a_line_survives_the_rich_text_editor(invite: Invite, installation: Installation) -> None:
    page = invite("Hal")
    page.goto(f"{installation.url}/newsroom/")
    lines = random_lines(3000)
    back = page.evaluate(
        """async (lines) => {
            const { lineOf, runsOf } = await import("/static/bullet_markdown.js");
            return lines.map((line) => lineOf(runsOf(line)));
        }""",
        lines,
    )
    wrong = [
        (a, b)
        for a, b in zip(lines, back, strict=True)
        if marked_characters(a) != marked_characters(b)
    ]
    assert wrong[:10] == []
