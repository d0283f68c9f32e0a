"""Making the files of a picture from its clean master."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from PIL import Image, features

from nif.media.cropping import box
from nif.media.models import Format, Shape
from nif.media.opening import one_at_a_time

WIDTHS = (480, 960, 1600)
"""Pixels: a telephone, a page's column, a page's column on a screen with twice the pixels."""

SHARE_SIZE = (1200, 630)
"""What the sites on which people share links ask for, exactly."""

HAS_AVIF = bool(features.check("avif"))

OPTIONS: Mapping[Format, Mapping[str, Any]] = {
    Format.AVIF: {"quality": 60, "speed": 7},
    Format.WEBP: {"quality": 80, "method": 4},
    Format.JPEG: {"quality": 82, "progressive": True, "optimize": True},
}


@dataclass(frozen=True)
class Cut:
    """How a picture is to be cut, and the label that its files carry."""

    focus: tuple[float, float]
    crops: Mapping[str, Any]
    label: bytes


@dataclass(frozen=True)
class Made:
    """One file that was made."""

    shape: Shape
    format: Format
    width: int
    height: int
    data: bytes


def make(master: bytes, cut: Cut) -> Iterator[Made]:
    """Every file of a picture: its own shape, the crops, and the card that is shared."""
    with one_at_a_time, Image.open(BytesIO(master), formats=("JPEG",)) as image:
        image.load()
        for shape in Shape:
            part = box(image.size, shape, cut.focus, cut.crops)
            for size in sizes(shape, part[2] - part[0], part[3] - part[1]):
                small = image.resize(size, Image.Resampling.LANCZOS, box=part, reducing_gap=3.0)
                small.info.clear()
                for format_ in formats(shape):
                    yield Made(shape, format_, *size, encoded(small, format_, cut.label))


def sizes(shape: Shape, width: int, height: int) -> list[tuple[int, int]]:
    """The sizes that are made of a part of `width` by `height`: never larger than it is."""
    if shape is Shape.SHARE:
        return [SHARE_SIZE]
    widths = [each for each in WIDTHS if each < width] + [min(width, WIDTHS[-1])]
    return [(each, max(1, round(height * each / width))) for each in dict.fromkeys(widths)]


def formats(shape: Shape) -> list[Format]:
    if shape is Shape.SHARE:
        return [Format.JPEG]
    modern = [Format.AVIF] if shape is Shape.ORIGINAL and HAS_AVIF else []
    return [*modern, Format.WEBP, Format.JPEG]


def encoded(image: Image.Image, format_: Format, label: bytes) -> bytes:
    """The picture in a format, with its label and nothing else beside the pixels."""
    buffer = BytesIO()
    image.save(buffer, format_.value, xmp=label, **OPTIONS[format_])
    return buffer.getvalue()
