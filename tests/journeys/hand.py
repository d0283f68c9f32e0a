"""Someone at a page, as journeys need them: what they do is counted, and can be saved as pictures.

With NIF_SHOTS=<folder> each step is saved at two widths.
"""

import os
import time
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect

WIDTHS = (1280, 390)
SOON = 15000


class Hand:
    """Does what a person does, and counts it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.clicks = self.fields = self.steps = 0
        self.began = time.monotonic()

    def click(self, selector: str) -> None:
        self.page.click(selector)
        self.clicks += 1

    def write(self, selector: str, words: str) -> None:
        self.page.fill(selector, words)
        self.fields += 1

    def choose(self, selector: str, value: str = "") -> None:
        if value:
            self.page.select_option(selector, value)
        else:
            self.page.check(selector)
        self.fields += 1

    def step(self, name: str, says: str) -> None:
        """The page says this: what to do next."""
        expect(self.page.locator("body")).to_contain_text(says, timeout=SOON)
        self.steps += 1
        if folder := os.environ.get("NIF_SHOTS"):
            save(self.page, Path(folder), f"{self.steps:02}-{name}")

    def cost(self) -> str:
        seconds = time.monotonic() - self.began
        counted = f"{self.clicks} clicks, {self.fields} fields, {self.steps} steps"
        return f"{counted}, {seconds:.1f} seconds by a script"


def save(page: Page, folder: Path, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    before = page.viewport_size
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        picture = Image.open(BytesIO(page.screenshot()))
        few = picture.convert("RGB").quantize(32, dither=Image.Dither.NONE).convert("RGB")
        few.save(folder / f"{name}-{width}.webp", lossless=True, method=4)
    page.set_viewport_size(before)
