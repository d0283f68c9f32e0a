"""An upload becomes a clean picture, or is refused with a reason."""

import time
import tracemalloc
from io import BytesIO

import pytest
from PIL import Image, ImageCms

from nif.errors import Invalid
from nif.media.uploads import MASTER_EDGE, clean_picture, encode_master
from tests.media.drawing import a_bomb, a_file, a_moving_gif, a_picture, with_exif


def decode(data: bytes, kind: str = "JPEG") -> Image.Image:
    return clean_picture(BytesIO(data), kind)


def refusal_of(data: bytes, kind: str) -> str:
    with pytest.raises(Invalid) as caught:
        decode(data, kind)
    return caught.value.problems["file"]


def is_near(pixel: tuple[int, ...], wanted: tuple[int, int, int]) -> bool:
    return all(abs(a - b) <= 12 for a, b in zip(pixel, wanted, strict=True))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "GIF"])
def test_five_formats_are_decoded(kind: str) -> None:
    image = decode(a_file(kind), kind)

    assert (image.mode, image.size) == ("RGB", (900, 600))
    assert image.getpixel((700, 500))[2] > 200


@pytest.mark.parametrize("size", [(60_000, 60_000), (10_000, 5_001), (1, 50_000_001)])
def test_a_decompression_bomb_is_refused_before_decoding(size: tuple[int, int]) -> None:
    tracemalloc.start()
    begun = time.process_time()
    reason = refusal_of(a_bomb(*size), "PNG")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert "at most 50 million" in reason
    assert time.process_time() - begun < 1
    assert peak < 10_000_000


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "GIF"])
@pytest.mark.parametrize("part", [0.02, 0.5, 0.9])
def test_an_incomplete_file_is_refused(kind: str, part: float) -> None:
    noisy = Image.effect_noise((400, 300), 80)
    data = a_file(kind, noisy)

    assert "broken or incomplete" in refusal_of(data[: int(len(data) * part)], kind)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "GIF"])
def test_noise_after_a_valid_header_is_refused(kind: str) -> None:
    head = a_file(kind)[:40]

    assert refusal_of(head + bytes(range(256)) * 20, kind)


def test_only_the_first_frame_is_decoded() -> None:
    data = a_moving_gif(1000)
    begun = time.process_time()

    image = decode(data, "GIF")

    assert image.size == (300, 200)
    assert time.process_time() - begun < 1


def test_a_picture_that_is_too_small_is_refused() -> None:
    assert "too small: 199 by 600 pixels" in refusal_of(a_file(image=a_picture(199, 600)), "JPEG")


def test_a_very_large_picture_is_reduced() -> None:
    image = decode(a_file(image=a_picture(6000, 3000)))

    assert image.size == (MASTER_EDGE, MASTER_EDGE // 2)


@pytest.mark.parametrize(
    ("orientation", "white_at"),
    [(1, "nw"), (2, "ne"), (3, "se"), (4, "sw"), (5, "nw"), (6, "ne"), (7, "se"), (8, "sw")],
)
def test_pictures_are_turned_upright(orientation: int, white_at: str) -> None:
    image = decode(with_exif(orientation))
    right, bottom = image.width - 20, image.height - 20
    corners = {"nw": (20, 20), "ne": (right, 20), "sw": (20, bottom), "se": (right, bottom)}

    assert image.size == ((900, 600) if orientation < 5 else (600, 900))
    white = [at for at, place in corners.items() if min(image.getpixel(place)) > 230]
    assert white == [white_at]


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_broken_exif_is_ignored() -> None:
    data = a_file(exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x01" * 40)

    assert decode(data).size == (900, 600)


def test_embedded_profiles_are_converted_to_srgb() -> None:
    """The profile is sRGB with red and blue exchanged, so its red is blue in sRGB."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    turned = srgb.replace(b"rXYZ", b"?XYZ").replace(b"bXYZ", b"rXYZ").replace(b"?XYZ", b"bXYZ")
    red = Image.new("RGB", (300, 300), "red")

    assert is_near(decode(a_file("PNG", red), "PNG").getpixel((9, 9)), (255, 0, 0))
    image = decode(a_file("PNG", red, icc_profile=turned), "PNG")
    assert is_near(image.getpixel((9, 9)), (0, 0, 255))
    assert "icc_profile" not in image.info


@pytest.mark.parametrize("profile", [b"nonsense", b"\0" * 200, b"x" * 70_000])
def test_an_invalid_profile_is_ignored(profile: bytes) -> None:
    image = decode(a_file(icc_profile=profile))

    assert is_near(image.getpixel((700, 500)), (0, 0, 255))


def test_a_profile_for_another_colour_mode_is_ignored() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    grey = Image.new("L", (300, 300), 128)

    assert is_near(
        decode(a_file("PNG", grey, icc_profile=srgb), "PNG").getpixel((9, 9)), (128,) * 3
    )


def test_cmyk_sixteen_bit_grey_and_transparency_are_converted() -> None:
    ink = a_picture().convert("CMYK")
    deep = Image.new("I;16", (300, 300), 0x8000)
    glass = Image.new("RGBA", (300, 300), (255, 0, 0, 0))

    assert decode(a_file(image=ink)).getpixel((700, 500))[2] > 150
    assert is_near(decode(a_file("PNG", deep), "PNG").getpixel((9, 9)), (128, 128, 128))
    assert decode(a_file("PNG", glass), "PNG").getpixel((9, 9)) == (255, 255, 255)


def test_the_master_contains_only_pixels() -> None:
    master = encode_master(decode(with_exif(6)))

    assert b"Secret" not in master
    assert b"Exif" not in master
    assert b"http" not in master
