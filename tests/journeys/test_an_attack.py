"""Signing up while the doors ask for proof of work, with a browser that computes and with none."""

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
from tests.factories import a_list
from tests.journeys.house import House
from tests.journeys.open_to_all import obstacles

pytestmark = pytest.mark.browser


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path, f"sqlite:///{tmp_path}/nif.db") as house:
        assert house.run("db", "upgrade").returncode == 0
        database = Database(house.environment["NIF_DATABASE_URL"])
        with database.transaction() as session:
            now = utc_now()
            a_list(session, created_at=now)
            attack_mode.enable_attack_mode(
                session, until=now + timedelta(hours=1), who="Ada", now=now
            )
        database.close()
        house.start("serve")
        yield house


def test_a_browser_proves_itself_and_who_has_no_script_is_held(
    browser: Browser, house: House
) -> None:
    said: list[str] = []
    for name, script in (("script", True), ("none", False)):
        context = browser.new_context(java_script_enabled=script, color_scheme="dark")
        page = context.new_page()
        page.on("console", lambda one: said.append(one.text) if one.type == "error" else None)
        page.goto(f"{house.url}/subscribe")
        page.fill("#email", f"{name}@example.org")
        if script:
            page.get_by_text("Your browser has solved").wait_for()
            assert obstacles(page) == []
        page.wait_for_timeout(2100)
        page.click("form.join button")
        page.wait_for_url("**/subscribe/check-your-inbox")
        assert context.cookies() == []
        context.close()

    assert said == []
    database = Database(house.environment["NIF_DATABASE_URL"])
    with database.reading() as session:
        query = select(Signup.canonical, Signup.hold_reason).order_by(Signup.id)
        found = [tuple(row) for row in session.execute(query)]
    database.close()
    assert found == [("script@example.org", None), ("none@example.org", HoldReason.NO_PROOF)]
