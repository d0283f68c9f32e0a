"""Where a shape is cut out of a picture: around its focus, or as somebody chose by hand."""

from collections.abc import Mapping, Sequence
from typing import Any

from nif.media.models import Shape

Box = tuple[int, int, int, int]

RATIOS: Mapping[Shape, tuple[int, int]] = {
    Shape.WIDE: (16, 9),
    Shape.CARD: (4, 3),
    Shape.SQUARE: (1, 1),
    Shape.SHARE: (1200, 630),
}


def box(
    size: tuple[int, int], shape: Shape, focus: tuple[float, float], crops: Mapping[str, Any]
) -> Box:
    """The part of a picture that a shape shows: left, top, right, bottom in pixels.

    `size` is the picture's; `focus` and `crops` are as a picture keeps them. Around the focus the
    part is as large as fits, and as near to the middle of it as the edges allow.
    """
    if shape is Shape.ORIGINAL:
        return (0, 0, *size)
    width, height = _largest(size, RATIOS[shape])
    if by_hand := crops.get(shape.value):
        return _by_hand(size, (width, height), by_hand)
    left = _held(round(focus[0] * size[0] - width / 2), size[0] - width)
    top = _held(round(focus[1] * size[1] - height / 2), size[1] - height)
    return left, top, left + width, top + height


def _largest(size: tuple[int, int], ratio: tuple[int, int]) -> tuple[int, int]:
    """The largest width and height of that ratio in `size`."""
    width = min(size[0], round(size[1] * ratio[0] / ratio[1]))
    return width, min(size[1], max(1, round(width * ratio[1] / ratio[0])))


def _by_hand(size: tuple[int, int], most: tuple[int, int], crop: Sequence[float]) -> Box:
    """A part that somebody chose, pushed back inside where it reaches beyond an edge."""
    width = min(most[0], max(1, round(crop[2] * size[0])))
    height = min(most[1], max(1, round(width * most[1] / most[0])))
    left = _held(round(crop[0] * size[0]), size[0] - width)
    top = _held(round(crop[1] * size[1]), size[1] - height)
    return left, top, left + width, top + height


def _held(place: int, most: int) -> int:
    return max(0, min(place, most))
