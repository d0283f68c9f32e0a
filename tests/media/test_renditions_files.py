"""The files of a picture: shapes, sizes, metadata, and nothing else."""

from io import BytesIO
from itertools import groupby
from xml.etree import ElementTree as ET

import pytest

from nif.media.models import (
    DigitalSourceType,
    Picture,
    PictureAiUse,
    PictureFormat,
    PictureShape,
    Rendition,
)
from nif.media.renditions import build_xmp_packet, render_files, rendition_sizes_of
from nif.media.uploads import clean_picture, encode_master
from tests.media.drawing import a_picture, with_exif
from tests.media.pictures import a_description, decode_image

RenderedFile = tuple[Rendition, bytes]
CREDIT = "Zoë <b>&amp; O'Hara]]></b>"


def a_picture_row(*, focus_x: float = 0.5, **words: object) -> Picture:
    return Picture(**vars(a_description(**words)), focus_x=focus_x, focus_y=0.5, crops={})


def render(data: bytes, **words: object) -> list[RenderedFile]:
    picture = a_picture_row(credit=CREDIT, **words)
    master = encode_master(clean_picture(BytesIO(data), "JPEG"))
    return list(render_files(master, picture))


@pytest.fixture(scope="module")
def rendered() -> list[RenderedFile]:
    return render(with_exif(6))


def test_every_file_has_its_declared_format_and_size(rendered: list[RenderedFile]) -> None:
    for file, data in rendered:
        image = decode_image(data)
        assert image.format == file.format.value.upper()
        assert image.size == (file.width, file.height)
        assert image.mode == "RGB"


def test_each_shape_has_its_formats(rendered: list[RenderedFile]) -> None:
    found = {
        shape: {file.format for file, _ in group}
        for shape, group in groupby(rendered, lambda pair: pair[0].shape)
    }
    assert found == {
        PictureShape.ORIGINAL: {PictureFormat.AVIF, PictureFormat.WEBP, PictureFormat.JPEG},
        PictureShape.WIDE: {PictureFormat.WEBP, PictureFormat.JPEG},
        PictureShape.CARD: {PictureFormat.WEBP, PictureFormat.JPEG},
        PictureShape.SQUARE: {PictureFormat.WEBP, PictureFormat.JPEG},
        PictureShape.SHARE: {PictureFormat.JPEG},
    }


def test_no_metadata_of_the_upload_is_passed_on(rendered: list[RenderedFile]) -> None:
    for _, data in rendered:
        image = decode_image(data)
        assert not dict(image.getexif())
        assert "icc_profile" not in image.info
        assert "comment" not in image.info
        for word in (b"Secret", b"GPS", b"Exif\0\0"):
            assert word not in data


def test_every_file_carries_credit_and_source_type(rendered: list[RenderedFile]) -> None:
    for _, data in rendered:
        packet = data.partition(b"<?xpacket")[2].partition(b"?>")[2].partition(b"<?xpacket")[0]
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
def test_ai_use_follows_from_the_source_type(
    kind: DigitalSourceType, use: PictureAiUse, term: str
) -> None:
    picture = Picture(**vars(a_description(source_type=kind)))

    assert picture.ai_use is use
    assert f"/{term}<".encode() in build_xmp_packet(picture)


def test_only_the_share_card_is_enlarged() -> None:
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


def test_a_crop_shows_the_focus() -> None:
    master = encode_master(a_picture(1200, 600))
    square = {}
    for at in (0.0, 1.0):
        files = render_files(master, a_picture_row(focus_x=at))
        square[at] = next(data for file, data in files if file.shape is PictureShape.SQUARE)

    assert decode_image(square[0.0]).convert("RGB").getpixel((300, 300))[0] > 200
    assert decode_image(square[1.0]).convert("RGB").getpixel((300, 300))[2] > 200
