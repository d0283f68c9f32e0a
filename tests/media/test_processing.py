"""The files of a picture: their shapes, their sizes, their labels, and nothing else in them."""

from io import BytesIO
from itertools import groupby
from xml.etree import ElementTree as ET

import pytest

from nif.media.models import DigitalSourceType, Picture, PictureAiUse, PictureFormat, PictureShape
from nif.media.renditions import (
    RenderedFile,
    RenditionOptions,
    build_xmp_packet,
    render_files,
    rendition_sizes_of,
)
from nif.media.uploads import clean_picture, encode_master
from tests.media.drawing import a_picture, with_exif
from tests.media.pictures import look_at, said

CREDIT = "Zoë <b>&amp; O'Hara]]></b>"


def files(data: bytes, **words: object) -> list[RenderedFile]:
    picture = Picture(**vars(said(credit=CREDIT, **words)))
    master = encode_master(clean_picture(BytesIO(data), "JPEG"))
    return list(render_files(master, RenditionOptions((0.5, 0.5), {}, build_xmp_packet(picture))))


@pytest.fixture(scope="module")
def made() -> list[RenderedFile]:
    return files(with_exif(6))


def test_every_file_is_what_it_says(made: list[RenderedFile]) -> None:
    for one in made:
        image = look_at(one.data)
        assert image.format == one.format.value.upper()
        assert image.size == (one.width, one.height)
        assert image.mode == "RGB"


def test_each_shape_comes_in_the_formats_that_it_needs(made: list[RenderedFile]) -> None:
    found = {
        shape: {one.format for one in group}
        for shape, group in groupby(made, lambda one: one.shape)
    }
    assert found == {
        PictureShape.ORIGINAL: {PictureFormat.AVIF, PictureFormat.WEBP, PictureFormat.JPEG},
        PictureShape.WIDE: {PictureFormat.WEBP, PictureFormat.JPEG},
        PictureShape.CARD: {PictureFormat.WEBP, PictureFormat.JPEG},
        PictureShape.SQUARE: {PictureFormat.WEBP, PictureFormat.JPEG},
        PictureShape.SHARE: {PictureFormat.JPEG},
    }


def test_nothing_of_the_uploads_metadata_is_in_any_file(made: list[RenderedFile]) -> None:
    for one in made:
        image = look_at(one.data)
        assert not dict(image.getexif())
        assert "icc_profile" not in image.info
        assert "comment" not in image.info
        for word in (b"Secret", b"GPS", b"Exif\0\0"):
            assert word not in one.data


def test_every_file_says_whose_it_is_and_how_it_came_to_be(made: list[RenderedFile]) -> None:
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
        (DigitalSourceType.CAPTURE, PictureAiUse.NONE, "digitalCapture"),
        (DigitalSourceType.WITH_AI, PictureAiUse.ASSISTED, "compositeWithTrainedAlgorithmicMedia"),
        (DigitalSourceType.BY_AI, PictureAiUse.GENERATED, "trainedAlgorithmicMedia"),
    ],
)
def test_the_part_that_ai_had_follows_from_how_it_was_made(
    kind: DigitalSourceType, use: PictureAiUse, term: str
) -> None:
    picture = Picture(**vars(said(source_type=kind)))

    assert picture.ai_use is use
    assert f"/{term}<".encode() in build_xmp_packet(picture)


def test_nothing_is_made_larger_than_it_is_but_the_shared_card() -> None:
    assert rendition_sizes_of(PictureShape.ORIGINAL, 300, 200) == [(300, 200)]
    assert rendition_sizes_of(PictureShape.ORIGINAL, 1200, 800) == [
        (480, 320),
        (960, 640),
        (1200, 800),
    ]
    assert rendition_sizes_of(PictureShape.WIDE, 3840, 2160) == [
        (480, 270),
        (960, 540),
        (1600, 900),
    ]
    assert rendition_sizes_of(PictureShape.SHARE, 300, 158) == [(1200, 630)]


def test_a_cut_shows_what_the_focus_is_on() -> None:
    master = encode_master(a_picture(1200, 600))
    square = {}
    for at in (0.0, 1.0):
        cut = RenditionOptions((at, 0.5), {}, b"")
        square[at] = next(
            one for one in render_files(master, cut) if one.shape is PictureShape.SQUARE
        )

    assert look_at(square[0.0].data).convert("RGB").getpixel((300, 300))[0] > 200
    assert look_at(square[1.0].data).convert("RGB").getpixel((300, 300))[2] > 200
