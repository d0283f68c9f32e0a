"""A passkey in a real browser, kept by an authenticator that only the browser knows of."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from nif.demo.loader import DEMO_PASSWORD
from tests.journeys.house import House

pytestmark = pytest.mark.browser
EDITOR = "editor@example.com"


@pytest.fixture
def named(house: House) -> str:
    """The house under a name: browsers make passkeys for names, not for numbers."""
    return house.url.replace("127.0.0.1", "localhost")


@pytest.fixture
def desk(browser: Browser, named: str) -> Iterator[Page]:
    """A window whose computer has a fingerprint reader of its own, as laptops do."""
    context = browser.new_context(base_url=named)
    page = context.new_page()
    broken: list[str] = []
    page.on("console", lambda line: broken.append(line.text) if line.type == "error" else None)
    wires = context.new_cdp_session(page)
    wires.send("WebAuthn.enable")
    wires.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
                "automaticPresenceSimulation": True,
            }
        },
    )
    yield page
    context.close()
    assert broken == []


def sign_in(page: Page) -> None:
    page.goto("/login")
    page.get_by_label("Email address").fill(EDITOR)
    page.get_by_label("Password").fill(DEMO_PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def sign_out(page: Page) -> None:
    page.get_by_role("button", name="Sign out", exact=True).click()


def test_a_passkey_of_this_computer_signs_in_alone_and_after_the_password(desk: Page) -> None:
    sign_in(desk)
    desk.goto("/account/passkeys")
    desk.get_by_label("A name by which you know it").fill("This laptop")
    desk.get_by_role("button", name="Add a passkey").click()
    expect(desk.get_by_text("The passkey This laptop is yours to sign in with.")).to_be_visible()

    sign_out(desk)
    desk.goto("/login")
    desk.get_by_role("link", name="Use a passkey").click()
    desk.get_by_role("button", name="Use a passkey").click()
    expect(desk.get_by_role("heading", name="Newsroom")).to_be_visible()

    sign_out(desk)
    sign_in(desk)
    expect(desk.get_by_role("heading", name="Now your passkey")).to_be_visible()
    desk.get_by_role("button", name="Use a passkey").click()
    expect(desk.get_by_role("heading", name="Newsroom")).to_be_visible()

    desk.goto("/account/passkeys")
    desk.get_by_role("button", name="Remove This laptop").click()
    expect(desk.get_by_text("The passkey This laptop is removed.")).to_be_visible()
