"""What stands in anybody's way on a page: axe's rules, and scrolling sideways."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

OPTIONS = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],  # What is well need not be listed, node by node.
}


def obstacles(page: Page) -> list[tuple[str, str]]:
    """Every violation: the rule, and the first place that breaks it."""
    found = Axe().run(page, options=OPTIONS).response["violations"]
    said = [(one["id"], one["nodes"][0]["html"][:200]) for one in found]
    wide = page.evaluate("document.documentElement.scrollWidth")
    width = page.viewport_size["width"] if page.viewport_size else 0
    return [*said, ("scrolls sideways", str(wide))] if wide > width else said
