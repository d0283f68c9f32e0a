"""Signing up in attack mode, with and without a browser that computes the proof of work."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from sqlalchemy import select

from nif.clock import utc_now
from nif.database import Database
from nif.signups import attack_mode
from nif.signups.models import HoldReason, Signup
from nif.web.public.signup_guard import MIN_FORM_SECONDS
from tests.factories import a_list
from tests.journeys.accessibility import accessibility_violations
from tests.journeys.browsing import open_context
from tests.journeys.installation import Installation

pytestmark = pytest.mark.browser


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    with Installation(tmp_path, f"sqlite:///{tmp_path}/nif.db") as installation:
        assert installation.run("db", "upgrade").returncode == 0
        database = Database(installation.environment["NIF_DATABASE_URL"])
        with database.transaction() as session:
            now = utc_now()
            a_list(session, created_at=now)
            attack_mode.enable_attack_mode(
                session, until=now + timedelta(hours=1), who="Ada", now=now
            )
        database.close()
        installation.start("serve")
        yield installation


def test_a_browser_solves_the_proof_and_a_signup_without_script_is_held(
    browser: Browser, installation: Installation
) -> None:
    console_errors: list[str] = []
    for name, script in (("script", True), ("none", False)):
        context = open_context(browser, java_script_enabled=script, color_scheme="dark")
        page = context.new_page()
        page.on(
            "console",
            lambda message: (
                console_errors.append(message.text) if message.type == "error" else None
            ),
        )
        page.goto(f"{installation.url}/subscribe")
        page.fill("#email", f"{name}@example.org")
        if script:
            page.get_by_text("Your browser has solved").wait_for()
            assert accessibility_violations(page) == []
        page.wait_for_timeout(1000 * MIN_FORM_SECONDS + 100)
        page.click("form.form-card button")
        page.wait_for_url("**/subscribe/check-your-inbox")
        assert context.cookies() == []
        context.close()

    assert console_errors == []
    database = Database(installation.environment["NIF_DATABASE_URL"])
    with database.reading() as session:
        query = select(Signup.canonical, Signup.hold_reason).order_by(Signup.id)
        found = [tuple(row) for row in session.execute(query)]
    database.close()
    assert found == [("script@example.org", None), ("none@example.org", HoldReason.NO_PROOF)]
