"""Shapes are cropped around the focus, or by hand."""

import pytest

from nif.media.models import SHAPE_RATIOS, PictureShape
from nif.media.renditions import compute_crop_box


def test_the_original_shape_is_the_whole_picture() -> None:
    assert compute_crop_box((900, 600), PictureShape.ORIGINAL, (0.1, 0.1), {}) == (0, 0, 900, 600)


@pytest.mark.parametrize(
    ("focus", "cut"),
    [
        ((0.5, 0.5), (150, 0, 750, 600)),
        ((0.0, 0.5), (0, 0, 600, 600)),
        ((1.0, 0.0), (300, 0, 900, 600)),
        ((0.4, 1.0), (60, 0, 660, 600)),
    ],
)
def test_a_crop_lies_around_the_focus_and_within_the_edges(
    focus: tuple[float, float], cut: tuple[int, int, int, int]
) -> None:
    assert compute_crop_box((900, 600), PictureShape.SQUARE, focus, {}) == cut


@pytest.mark.parametrize("shape", SHAPE_RATIOS)
@pytest.mark.parametrize("size", [(200, 200), (3840, 200), (200, 3840), (901, 599)])
def test_every_shape_fits_into_every_picture(shape: PictureShape, size: tuple[int, int]) -> None:
    for crops in ({}, {shape.value: [0.9, 0.99, 0.6]}, {shape.value: [0, 0, 0.001]}):
        left, top, right, bottom = compute_crop_box(size, shape, (0.9, 0.2), crops)
        assert 0 <= left < right <= size[0]
        assert 0 <= top < bottom <= size[1]
    width, height = SHAPE_RATIOS[shape]
    left, top, right, bottom = compute_crop_box(size, shape, (0.9, 0.2), {})
    assert (right - left) / (bottom - top) == pytest.approx(width / height, rel=0.02)


def test_a_manual_crop_overrides_the_focus() -> None:
    crops = {"square": [0.1, 0.5, 1 / 3]}

    assert compute_crop_box((900, 600), PictureShape.SQUARE, (0.9, 0.9), crops) == (
        90,
        300,
        390,
        600,
    )
    assert compute_crop_box((900, 600), PictureShape.WIDE, (0.5, 0.5), crops)[0] == 0
