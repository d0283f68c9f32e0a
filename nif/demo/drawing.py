"""Two pictures for the demo newsroom, drawn by code, so that no file of anybody's is needed."""

from io import BytesIO
from math import cos, pi, sin

from PIL import Image, ImageDraw

SIZE = (2000, 1333)
KEPT = (1280, 853)
"""As large as a page shows it: making the files of more would keep `make run` waiting."""

PAPER, INK, ACCENT = "#f6efe9", "#1b1a17", "#b3261e"


def a_waveform() -> bytes:
    """A track as a row of bars, one phrase of it marked. A PNG."""
    image, pen = _sheet()
    middle = SIZE[1] // 2
    for n in range(100):
        swell = sin(n / 100 * pi) * (0.45 + 0.3 * sin(n / 3.1) + 0.25 * cos(n / 1.7))
        half = 30 + abs(swell) * 480
        left = n * 20
        colour = ACCENT if 58 <= n < 74 else INK
        pen.rounded_rectangle((left + 4, middle - half, left + 16, middle + half), 6, fill=colour)
    return _png(image)


def a_record() -> bytes:
    """A record seen from above, larger than the sheet, its label in one colour. A PNG."""
    image, pen = _sheet()
    x, y = 1350, 640
    for radius in range(760, 240, -20):
        shade = INK if radius // 20 % 2 else "#2e2c27"
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=shade)
    for radius, colour in ((240, ACCENT), (26, PAPER)):
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    return _png(image)


def _sheet() -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGB", SIZE, PAPER)
    return image, ImageDraw.Draw(image)


def _png(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.resize(KEPT, Image.Resampling.LANCZOS).save(buffer, "PNG")
    return buffer.getvalue()
