"""A user at a page whose clicks and fields are counted.

With NIF_SHOTS=<folder> each step is saved as a screenshot at two widths.
"""

import os
import time
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect

WIDTHS = (1280, 390)


class CountedUser:
    """Performs a person's actions on a page, and counts them."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.clicks = self.fields = self.steps = 0
        self.started = time.monotonic()

    def click(self, selector: str) -> None:
        self.page.click(selector)
        self.clicks += 1

    def fill(self, selector: str, text: str) -> None:
        self.page.fill(selector, text)
        self.fields += 1

    def choose(self, selector: str, value: str = "") -> None:
        if value:
            self.page.select_option(selector, value)
        else:
            self.page.check(selector)
        self.fields += 1

    def step(self, name: str, text: str) -> None:
        """Check that the page shows `text`, and save a screenshot if they are wanted."""
        expect(self.page.locator("body")).to_contain_text(text)
        self.steps += 1
        if folder := os.environ.get("NIF_SHOTS"):
            save_screenshots(self.page, Path(folder), f"{self.steps:02}-{name}")

    def summary(self) -> str:
        seconds = time.monotonic() - self.started
        counts = f"{self.clicks} clicks, {self.fields} fields, {self.steps} steps"
        return f"{counts}, {seconds:.1f} seconds by a script"


def save_screenshots(page: Page, folder: Path, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    before = page.viewport_size
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        screenshot = Image.open(BytesIO(page.screenshot()))
        reduced = screenshot.convert("RGB").quantize(32, dither=Image.Dither.NONE).convert("RGB")
        reduced.save(folder / f"{name}-{width}.webp", lossless=True, method=4)
    page.set_viewport_size(before)
