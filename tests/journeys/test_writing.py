"""Writing: whatever happens on the way, no word is lost."""

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
from tests.journeys.house import House, until
from tests.journeys.open_to_all import obstacles

PASSWORD = "a few words to remember"
READY = "html[data-story-form=ready]"
pytestmark = pytest.mark.browser
Invite = Callable[..., Page]


@pytest.fixture(scope="module")
def house(_sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One house for all of these tests; any database will do."""
    folder = tmp_path_factory.mktemp("house")
    shutil.copy(_sqlite_template, folder / "nif.db")
    with House(folder, f"sqlite:///{folder}/nif.db") as house:
        house.start("serve")
        yield house


@pytest.fixture(scope="module")
def services(house: House) -> Iterator[Services]:
    services = build_services(load_settings(database_url=house.environment["NIF_DATABASE_URL"]))
    yield services
    services.database.close()


@pytest.fixture(scope="module")
def _hashed(services: Services) -> str:
    with build_app(services).app_context():
        return str(hash_password(PASSWORD))


@pytest.fixture
def invite(browser: Browser, house: House, services: Services, _hashed: str) -> Iterator[Invite]:
    """New editors, each in a window of their own whose clock can be moved on."""
    contexts = []
    complaints: list[str] = []

    def come(name: str, **given: object) -> Page:
        email = f"{name.lower()}{random.randrange(10**9)}@example.com"
        with services.database.transaction() as session:
            create_account(session, email, name, RoleName.EDITOR, now=utc_now()).password = _hashed
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **given})
        contexts.append(context)
        page = context.new_page()
        page.on(
            "console",
            lambda one: complaints.append(one.text) if "Content Security" in one.text else None,
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.clock.install()
        page.goto(f"{house.url}/login")
        page.fill("#email", email)
        page.fill("#password", PASSWORD)
        page.click("main button")
        return page

    yield come
    for context in contexts:
        context.close()
    assert complaints == []


def saves(page: Page) -> None:
    """A moment passes without typing, on the window's clock, and what was typed is saved."""
    page.clock.fast_forward(3000)
    expect(page.locator("#save-status")).to_contain_text("Saved at", timeout=15000)


def new_story(page: Page, house: House, headline: str) -> None:
    """A form that the newsroom has saved by itself."""
    page.goto(f"{house.url}/newsroom/stories/new")
    page.wait_for_selector(READY)
    page.fill("#headline", headline)
    saves(page)


def test_whoever_types_before_the_scripts_are_there_goes_on_typing(
    invite: Invite, house: House
) -> None:
    page = invite("Fay")
    held: list[Route] = []
    page.route("**/rich_bullets.js*", lambda route: held.append(route))
    with page.expect_request("**/rich_bullets.js*"):
        page.goto(f"{house.url}/newsroom/stories/new", wait_until="commit")
    page.fill("#headline", "Faster Than Scripts")
    page.fill("#sections-0-label", "Why it matters:")
    page.click("textarea#sections-0-bullets")
    page.keyboard.type("Typed at once")
    held[0].continue_()
    page.wait_for_selector(READY)
    expect(page.locator("#save-status")).to_contain_text("Saved at", timeout=15000)
    page.keyboard.type(", and on.")
    area = page.locator("textarea[name=sections-0-bullets]")
    expect(area).to_have_value("Typed at once, and on.")


def test_pressing_two_buttons_at_once_saves_once_and_does_the_second(
    invite: Invite, house: House
) -> None:
    page = invite("Gil")
    new_story(page, house, "Two Buttons")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    page.evaluate(
        """() => {
            const lead = document.querySelector("#lead");
            lead.value = "Typed just now.";
            lead.dispatchEvent(new Event("input", { bubbles: true }));
            ["stay", "publish", "publish"].forEach((name) =>
              document.querySelector(`.bar [name=then][value=${name}]`).click());
        }"""
    )
    page.wait_for_url("**/publish")
    assert sent.count("POST") == 2, "the words and the form, once each"
    page.go_back()
    expect(page.locator("#lead")).to_have_value("Typed just now.")


def test_a_closed_tab_loses_nothing(invite: Invite, house: House) -> None:
    page = invite("Cy")
    page.goto(f"{house.url}/newsroom/stories/new")
    page.wait_for_selector(READY)
    page.fill("#headline", "Closed at Once")
    page.close(run_before_unload=True)
    desk = page.context.new_page()

    def has_it() -> bool:
        desk.goto(f"{house.url}/newsroom/?mine=1")
        return "Closed at Once" in desk.inner_text("main")

    until(has_it, "the last words are there", seconds=20)


def test_what_was_typed_without_a_network_is_there_again(invite: Invite, house: House) -> None:
    page = invite("Dee")
    new_story(page, house, "Far From the Mast")
    address = page.url
    assert re.search(r"/stories/\d+$", address)
    page.context.set_offline(True)
    page.fill("#lead", "Typed in a tunnel.")
    page.clock.fast_forward(3000)
    expect(page.locator("#save-status")).to_contain_text("Offline", timeout=15000)
    page.close()
    page.context.set_offline(False)
    again = page.context.new_page()
    again.goto(address)
    expect(again.locator("#lead")).to_have_value("")
    again.click("text=Restore it")
    again.wait_for_selector(READY)
    expect(again.locator("#lead")).to_have_value("Typed in a tunnel.")
    expect(again.locator("#save-status")).to_contain_text("Saved at", timeout=15000)


def test_two_tabs_are_told_and_merge(invite: Invite, house: House) -> None:
    first = invite("Eve")
    new_story(first, house, "Two Tabs")
    second = first.context.new_page()
    second.goto(first.url)
    second.wait_for_selector(READY)
    second.fill("#dek", "Second’s dek")
    saves(second)
    first.fill("#lead", "First’s lead.")
    first.clock.fast_forward(3000)
    notice = first.locator("#edit-conflict")
    expect(notice).to_contain_text("You have saved this story in another tab", timeout=15000)
    notice.get_by_role("button", name="Merge field by field").click()
    first.check("#theirs-dek")
    first.click("text=Save the merged story")
    first.wait_for_selector(READY)
    expect(first.locator("#dek")).to_have_value("Second’s dek")
    expect(first.locator("#lead")).to_have_value("First’s lead.")


def test_a_second_editor_is_named_and_taken_over_from(invite: Invite, house: House) -> None:
    ann, bea = invite("Ann"), invite("Bea")
    new_story(ann, house, "Two Editors")
    bea.goto(ann.url)
    bea.wait_for_selector(READY)
    expect(bea.locator("#presence")).to_contain_text("Ann is editing this story", timeout=20000)
    bea.fill("#lead", "Bea’s lead.")
    saves(bea)
    ann.fill("#lead", "Ann’s lead.")
    ann.clock.fast_forward(3000)
    expect(ann.locator("#edit-conflict")).to_contain_text("Bea saved this", timeout=20000)
    ann.get_by_role("button", name="Overwrite with mine").click()
    expect(ann.locator("#save-status")).to_contain_text("Saved at", timeout=15000)
    ann.click("text=Versions of this story")
    expect(ann.locator("main")).to_contain_text("Bea")


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_the_newsroom_is_open_to_everyone(
    invite: Invite, house: House, width: int, scheme: str
) -> None:
    page = invite("Fay", viewport={"width": width, "height": 900}, color_scheme=scheme)
    new_story(page, house, "For Everyone")
    address = page.url
    for path in (address, f"{address}/versions", f"{house.url}/newsroom/?q=every&state=draft"):
        page.goto(path)
        page.wait_for_timeout(500)
        if path == address:
            page.wait_for_selector(READY)
            page.click("#toggle-preview")
            expect(page.locator("#live-preview")).to_contain_text("For Everyone")
        assert (path, obstacles(page)) == (path, [])


PASTED = """<html><body><!--StartFragment-->
<p class=MsoListParagraph style='mso-list:l0 level1 lfo1'><span style='mso-list:Ignore'>·<span
style='font:7.0pt "Times New Roman"'>&nbsp;&nbsp; </span></span>First <b>point</b><o:p></o:p></p>
<b style="font-weight:normal" id="docs-internal-guid-1"><ul><li style="list-style-type:disc">
<p><span style="font-weight:700">Second</span><span style="color:red"> is </span><a
href="https://example.com/a"><span style="font-style:italic">linked</span></a></p></li></ul></b>
<p><a href="javascript:alert(1)">Third</a><script>bad()</script><br>Fourth</p>
<!--EndFragment--></body></html>"""


def test_what_is_pasted_from_a_document_comes_clean(invite: Invite, house: House) -> None:
    page = invite("Gus")
    new_story(page, house, "Pasted")
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


def letters(line: str) -> list[tuple[str, str, str | None]]:
    """What a line reads as, letter by letter; spaces carry no marks."""
    body, numbers = split_source_references(line)
    found = [
        (letter, "" if letter == " " else " ".join(sorted(run.marks)), run.address)
        if letter != " "
        else (" ", "", None)
        for run in parse_text_runs(body)
        for letter in run.text
    ]
    return [*found, (str(numbers), "", None)]


def some_lines(count: int) -> list[str]:
    chance = random.Random(7)
    parts = [*"ab *_[]()\\<>!`1é", "**", "***", "word ", "[x](https://e.com/a_b)", "\\*", " [1, 2]"]
    made = ("".join(chance.choices(parts, k=chance.randint(1, 12))) for _ in range(count))
    return [" ".join(line.split()) for line in made if line.strip()]


def test_a_line_comes_back_from_the_editor_as_it_reads(invite: Invite, house: House) -> None:
    page = invite("Hal")
    page.goto(f"{house.url}/newsroom/")
    lines = some_lines(3000)
    back = page.evaluate(
        """async (lines) => {
            const { lineOf, runsOf } = await import("/static/bullet_markdown.js");
            return lines.map((line) => lineOf(runsOf(line)));
        }""",
        lines,
    )
    wrong = [(a, b) for a, b in zip(lines, back, strict=True) if letters(a) != letters(b)]
    assert wrong[:10] == []
