"""The demo's pictures: drawn by code, so that they need no licence, and stored like uploads."""

from datetime import datetime
from io import BytesIO
from math import cos, pi, sin

from PIL import Image, ImageDraw
from sqlalchemy.orm import Session

from nif.media.library import (
    PictureDescription,
    PictureFraming,
    add_picture,
    change_picture,
    store_master,
)
from nif.media.models import DigitalSourceType
from nif.media.renditions import make_renditions_of
from nif.media.storage import MediaStorage
from nif.media.uploads import receive_upload

DRAWING_SIZE = (2000, 1333)
STORED_SIZE = (1280, 853)
"""As large as a page shows it: renditions of larger ones would delay `make run`."""

PAPER, INK, ACCENT = "#f6efe9", "#1b1a17", "#b3261e"


def draw_waveform() -> bytes:
    """A track as a row of bars with one phrase marked. A PNG."""
    image = Image.new("RGB", DRAWING_SIZE, PAPER)
    canvas = ImageDraw.Draw(image)
    middle = DRAWING_SIZE[1] // 2
    for n in range(100):
        swell = sin(n / 100 * pi) * (0.45 + 0.3 * sin(n / 3.1) + 0.25 * cos(n / 1.7))
        half = 30 + abs(swell) * 480
        bar = (n * 20 + 4, middle - half, n * 20 + 16, middle + half)
        canvas.rounded_rectangle(bar, 6, fill=ACCENT if 58 <= n < 74 else INK)
    return _as_png(image)


def draw_record() -> bytes:
    """A record seen from above, larger than the image, with a coloured label. A PNG."""
    image = Image.new("RGB", DRAWING_SIZE, PAPER)
    canvas = ImageDraw.Draw(image)
    x, y = 1350, 640
    for radius in range(760, 240, -20):
        shade = INK if radius // 20 % 2 else "#2e2c27"
        canvas.ellipse((x - radius, y - radius, x + radius, y + radius), fill=shade)
    for radius, colour in ((240, ACCENT), (26, PAPER)):
        canvas.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    return _as_png(image)


def _as_png(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.resize(STORED_SIZE, Image.Resampling.LANCZOS).save(buffer, "PNG")
    return buffer.getvalue()


CREDIT = "Drawn by code/NIF demo"
MAX_PICTURE_BYTES = 25_000_000
DEMO_PICTURES = (
    (
        "waveform",
        draw_waveform,
        PictureFraming(0.66, 0.5),
        "The waveform of a track as a row of dark bars; one phrase of it is marked in red.",
        "A phrase that was sampled is marked. This is a drawing of the demo, not of a real track.",
    ),
    (
        "record",
        draw_record,
        PictureFraming(0.675, 0.48),
        "A vinyl record with a red label, seen from above.",
        "A drawing of the demo.",
    ),
)


def add_demo_pictures(session: Session, storage: MediaStorage, *, now: datetime) -> dict[str, int]:
    """Add the demo's pictures and their files to the library; returns their ids by name."""
    ids = {}
    for name, draw, framing, alt, caption in DEMO_PICTURES:
        description = PictureDescription(
            alt=alt,
            caption=caption,
            credit=CREDIT,
            licence="CC0 1.0",
            licence_url="https://creativecommons.org/publicdomain/zero/1.0/",
            source_type=DigitalSourceType.CREATION,
        )
        with receive_upload(BytesIO(draw()), most=MAX_PICTURE_BYTES) as received:
            stored = store_master(storage, received)
        picture = add_picture(session, stored, description, by=None, now=now)
        change_picture(session, picture, description, framing, edits=0, now=now)
        make_renditions_of(session, storage, picture)
        ids[name] = picture.id
    return ids
