"""Accessibility of a page: axe's rules, and no horizontal scrolling."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

OPTIONS = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],  # Passed rules need not be listed.
}


def accessibility_violations(page: Page) -> list[tuple[str, str]]:
    """Every violation: the rule, and the first element that violates it."""
    violations = Axe().run(page, options=OPTIONS).response["violations"]
    found = [(rule["id"], rule["nodes"][0]["html"][:200]) for rule in violations]
    page_width = page.evaluate("document.documentElement.scrollWidth")
    width = page.viewport_size["width"] if page.viewport_size else 0
    return [*found, ("scrolls sideways", str(page_width))] if page_width > width else found
