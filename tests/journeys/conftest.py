"""A browser, and a house to visit with it."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from nif.database import Database
from nif.settings import load_settings
from tests.journeys.house import House
from tests.sharing import made_once

QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if found is None:
        pytest.skip("browser: no Chromium is installed here")
    with ExitStack() as stack:
        try:
            playwright = stack.enter_context(sync_playwright())
        except Exception as error:
            pytest.skip(f"browser: its driver does not start here (libatomic1 missing?): {error}")
        browser = playwright.chromium.launch(executable_path=found, args=list(QUIET))
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A window in which every request to another host fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    foreign: list[str] = []
    page.on(
        "request",
        lambda request: None if "//127.0.0.1:" in request.url else foreign.append(request.url),
    )
    yield page
    context.close()
    assert foreign == []


@pytest.fixture
def house(tmp_path: Path, database_url: str) -> Iterator[House]:
    """A house with the demo newsroom, and the web process running."""
    with House(tmp_path, database_url) as house:
        assert house.run("demo", "load").returncode == 0
        house.start("serve")
        yield house


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The instance folder of a house with the demo newsroom, on SQLite, to be copied."""

    def load(folder: Path) -> None:
        with House(folder, f"sqlite:///{folder}/nif.db") as house:
            assert house.run("db", "upgrade").returncode == 0
            assert house.run("demo", "load").returncode == 0

    return made_once(tmp_path_factory, "demo", load)


@pytest.fixture
def house_database(database_url: str) -> Iterator[Database]:
    """The house's database, to look into."""
    database = Database(load_settings(database_url=database_url).database)
    yield database
    database.close()
