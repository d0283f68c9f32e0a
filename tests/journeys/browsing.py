"""Windows of the browser that wait as long as all other tests do."""

from typing import Any

from playwright.sync_api import Browser, BrowserContext

from tests.waiting import LIMIT


def open_context(browser: Browser, **options: Any) -> BrowserContext:
    """Return a new, empty profile of the browser, in which nothing times out before `LIMIT`."""
    context = browser.new_context(**options)
    context.set_default_timeout(LIMIT * 1000)
    return context
