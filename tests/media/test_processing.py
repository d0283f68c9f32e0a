"""The files of a picture: their shapes, their sizes, their labels, and nothing else in them."""

from io import BytesIO
from itertools import groupby
from xml.etree import ElementTree as ET

import pytest

from nif.media.labelling import label
from nif.media.models import AiUse, Format, Picture, Shape, SourceType
from nif.media.opening import clean, master_of
from nif.media.processing import Cut, Made, make, sizes
from tests.media.drawing import a_picture, with_exif
from tests.media.pictures import look_at, said

CREDIT = "Zoë <b>&amp; O'Hara]]></b>"


def files(data: bytes, **words: object) -> list[Made]:
    picture = Picture(**vars(said(credit=CREDIT, **words)))
    master = master_of(clean(BytesIO(data), "JPEG"))
    return list(make(master, Cut((0.5, 0.5), {}, label(picture))))


@pytest.fixture(scope="module")
def made() -> list[Made]:
    return files(with_exif(6))


def test_every_file_is_what_it_says(made: list[Made]) -> None:
    for one in made:
        image = look_at(one.data)
        assert image.format == one.format.value.upper()
        assert image.size == (one.width, one.height)
        assert image.mode == "RGB"


def test_each_shape_comes_in_the_formats_that_it_needs(made: list[Made]) -> None:
    found = {
        shape: {one.format for one in group}
        for shape, group in groupby(made, lambda one: one.shape)
    }
    assert found == {
        Shape.ORIGINAL: {Format.AVIF, Format.WEBP, Format.JPEG},
        Shape.WIDE: {Format.WEBP, Format.JPEG},
        Shape.CARD: {Format.WEBP, Format.JPEG},
        Shape.SQUARE: {Format.WEBP, Format.JPEG},
        Shape.SHARE: {Format.JPEG},
    }


def test_nothing_of_the_uploads_metadata_is_in_any_file(made: list[Made]) -> None:
    for one in made:
        image = look_at(one.data)
        assert not dict(image.getexif())
        assert "icc_profile" not in image.info
        assert "comment" not in image.info
        for word in (b"Secret", b"GPS", b"Exif\0\0"):
            assert word not in one.data


def test_every_file_says_whose_it_is_and_how_it_came_to_be(made: list[Made]) -> None:
    for one in made:
        packet = one.data.partition(b"<?xpacket")[2].partition(b"?>")[2].partition(b"<?xpacket")[0]
        tree = ET.fromstring(packet.decode().strip())
        texts = {node.tag.partition("}")[2]: node.text for node in tree.iter()}
        assert texts["Credit"] == CREDIT
        assert texts["WebStatement"] == "https://creativecommons.org/licenses/by/4.0/"
        assert texts["li"] == "CC BY 4.0"
        assert texts["DigitalSourceType"].endswith("/digitalsourcetype/digitalCapture")


@pytest.mark.parametrize(
    ("kind", "use", "term"),
    [
        (SourceType.CAPTURE, AiUse.NONE, "digitalCapture"),
        (SourceType.WITH_AI, AiUse.ASSISTED, "compositeWithTrainedAlgorithmicMedia"),
        (SourceType.BY_AI, AiUse.GENERATED, "trainedAlgorithmicMedia"),
    ],
)
def test_the_part_that_ai_had_follows_from_how_it_was_made(
    kind: SourceType, use: AiUse, term: str
) -> None:
    picture = Picture(**vars(said(source_type=kind)))

    assert picture.ai_use is use
    assert f"/{term}<".encode() in label(picture)


def test_nothing_is_made_larger_than_it_is_but_the_shared_card() -> None:
    assert sizes(Shape.ORIGINAL, 300, 200) == [(300, 200)]
    assert sizes(Shape.ORIGINAL, 1200, 800) == [(480, 320), (960, 640), (1200, 800)]
    assert sizes(Shape.WIDE, 3840, 2160) == [(480, 270), (960, 540), (1600, 900)]
    assert sizes(Shape.SHARE, 300, 158) == [(1200, 630)]


def test_a_cut_shows_what_the_focus_is_on() -> None:
    master = master_of(a_picture(1200, 600))
    square = {}
    for at in (0.0, 1.0):
        cut = Cut((at, 0.5), {}, b"")
        square[at] = next(one for one in make(master, cut) if one.shape is Shape.SQUARE)

    assert look_at(square[0.0].data).convert("RGB").getpixel((300, 300))[0] > 200
    assert look_at(square[1.0].data).convert("RGB").getpixel((300, 300))[2] > 200
