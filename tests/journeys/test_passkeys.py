"""Passkeys in a real browser, with a virtual authenticator."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from nif.demo.loader import DEMO_PASSWORD
from tests.journeys.browsing import open_context
from tests.journeys.installation import Installation

pytestmark = pytest.mark.browser
EDITOR = "editor@example.com"


@pytest.fixture
def localhost_url(installation: Installation) -> str:
    """The installation's address by name: browsers create no passkeys for IP addresses."""
    return installation.url.replace("127.0.0.1", "localhost")


@pytest.fixture
def laptop(browser: Browser, localhost_url: str) -> Iterator[Page]:
    """A page on a computer with a built-in fingerprint reader, as laptops have."""
    context = open_context(browser, base_url=localhost_url)
    page = context.new_page()
    console_errors: list[str] = []
    page.on(
        "console", lambda line: console_errors.append(line.text) if line.type == "error" else None
    )
    devtools = context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    devtools.send(
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
    assert console_errors == []


def sign_in(page: Page) -> None:
    page.goto("/login")
    page.get_by_label("Email address").fill(EDITOR)
    page.get_by_label("Password").fill(DEMO_PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def sign_out(page: Page) -> None:
    page.get_by_role("button", name="Sign out", exact=True).click()


def test_a_passkey_signs_in_alone_and_as_a_second_factor(laptop: Page) -> None:
    sign_in(laptop)
    laptop.goto("/account/passkeys")
    laptop.get_by_label("Name of the passkey").fill("This laptop")
    laptop.get_by_role("button", name="Add a passkey").click()
    expect(laptop.get_by_text("The passkey This laptop is added.")).to_be_visible()

    sign_out(laptop)
    laptop.goto("/login")
    laptop.get_by_role("link", name="Use a passkey").click()
    laptop.get_by_role("button", name="Use a passkey").click()
    expect(laptop.get_by_role("heading", name="Newsroom")).to_be_visible()

    sign_out(laptop)
    sign_in(laptop)
    expect(laptop.get_by_role("heading", name="Now your passkey")).to_be_visible()
    laptop.get_by_role("button", name="Use a passkey").click()
    expect(laptop.get_by_role("heading", name="Newsroom")).to_be_visible()

    laptop.goto("/account/passkeys")
    laptop.get_by_role("button", name="Remove This laptop").click()
    expect(laptop.get_by_text("The passkey This laptop is removed.")).to_be_visible()
