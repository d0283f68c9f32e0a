"""A browser, and an installation to visit with it."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from nif.database import Database
from nif.settings import load_settings
from tests.journeys.browsing import open_context
from tests.journeys.installation import Installation
from tests.sharing import create_once
from tests.waiting import LIMIT

BROWSER_ARGUMENTS = (
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
        expect.set_options(timeout=LIMIT * 1000)
        browser = playwright.chromium.launch(executable_path=found, args=list(BROWSER_ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page in which any request to another host fails the test."""
    context = open_context(browser, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    foreign: list[str] = []
    page.on(
        "request",
        lambda request: None if "//127.0.0.1:" in request.url else foreign.append(request.url),
    )
    yield page
    context.close()
    assert foreign == []


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The instance folder of an installation with the demo newsroom on SQLite, for copying."""

    def load(folder: Path) -> None:
        with Installation(folder, f"sqlite:///{folder}/nif.db") as installation:
            assert installation.run("db", "upgrade").returncode == 0
            assert installation.run("demo", "load").returncode == 0

    return create_once(tmp_path_factory, "demo", load)


@pytest.fixture
def installation(demo: Path, tmp_path: Path) -> Iterator[Installation]:
    """An installation with the demo newsroom and a running web process."""
    shutil.copytree(demo, tmp_path, dirs_exist_ok=True)
    with Installation(tmp_path, f"sqlite:///{tmp_path}/nif.db") as installation:
        installation.start("serve")
        yield installation


@pytest.fixture
def installation_database(database_url: str) -> Iterator[Database]:
    """The installation's database."""
    database = Database(load_settings(database_url=database_url).database)
    yield database
    database.close()
