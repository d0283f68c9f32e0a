"""Accessibility of a page: axe's rules, and no horizontal scrolling.

A page is loaded once for both looks, because loading costs as much as checking.
"""

from typing import Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

LOOKS: tuple[tuple[int, Literal["light", "dark"]], ...] = ((390, "dark"), (1280, "light"))
"""The widths and colour schemes in which pages are checked."""

OPTIONS = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],  # Passed rules need not be listed.
}


SCRIPT = Axe().axe_script


def violations_in_both_looks(page: Page) -> list[tuple[str, ...]]:
    """Every violation, narrow and dark, then wide and light; the page stays wide and light."""
    found: list[tuple[str, ...]] = []
    for width, scheme in LOOKS:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        found += [(f"{width} {scheme}", *one) for one in accessibility_violations(page)]
    return found


def accessibility_violations(page: Page) -> list[tuple[str, str]]:
    """Every violation: the rule, and the first element that violates it."""
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(SCRIPT)
    violations = page.evaluate("(options) => axe.run(options)", OPTIONS)["violations"]
    found = [(rule["id"], rule["nodes"][0]["html"][:200]) for rule in violations]
    page_width = page.evaluate("document.documentElement.scrollWidth")
    width = page.viewport_size["width"] if page.viewport_size else 0
    return [*found, ("scrolls sideways", str(page_width))] if page_width > width else found
