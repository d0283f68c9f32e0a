"""Opening a file that a stranger made: small enough, whole, upright, in plain sRGB, without extras.

What leaves here is a clean master: no metadata, no animation, no transparency, no profile.
"""

from io import BytesIO
from threading import Lock
from typing import IO

from PIL import Image, ImageCms
from PIL.Image import Transpose

from nif.errors import Invalid
from nif.media.receiving import refused

MOST_PIXELS = 50_000_000
SHORTEST_EDGE = 200
MASTER_EDGE = 3840
"""Pixels. More than the widest file that is made needs, also where a part is cut out."""

MASTER_QUALITY = 95
LARGEST_PROFILE = 4_000_000
ORIENTATION = 0x0112

UPRIGHT = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
"""What turns a picture upright, by its EXIF orientation (CIPA DC-008, 4.6.5)."""

one_at_a_time = Lock()
"""A picture of 50 megapixels takes 200 MB of memory: a process works at one only."""


def clean(file: IO[bytes], kind: str) -> Image.Image:
    """The picture in `file`, which is of format `kind`, cleaned and at most 3840 pixels long.

    Of a moving picture only the first frame is ever decoded. Raises Invalid, for the field `file`,
    where it has too many pixels or too few, or cannot be read to its end.
    """
    with one_at_a_time:
        try:
            with Image.open(file, formats=(kind,)) as image:
                _expect_size(image.size)
                upright = UPRIGHT.get(_orientation(image))
                shrunk = _shrunk(image)
        except Invalid:
            raise
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise refused(_too_many("more")) from None
        except Exception:  # Decoders fail in as many ways as files can be broken.
            raise refused(
                "This picture is broken or not whole. Export it again, or download it again."
            ) from None
        plain = _plain(shrunk)
        return plain.transpose(upright) if upright is not None else plain


def master_of(image: Image.Image) -> bytes:
    """The clean picture as it is kept: JPEG, with all its colours, from which all else is made."""
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=MASTER_QUALITY, subsampling=0)
    return buffer.getvalue()


def _expect_size(size: tuple[int, int]) -> None:
    width, height = size
    if width * height > MOST_PIXELS:
        raise refused(_too_many(f"{width * height / 1_000_000:,.0f} million"))
    if min(width, height) < SHORTEST_EDGE:
        raise refused(
            f"This picture is too small: {width} by {height} pixels. Each side needs "
            f"{SHORTEST_EDGE} or more."
        )


def _too_many(pixels: str) -> str:
    return f"This picture has too many pixels: 50 million are the most, and it has {pixels}."


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # Broken EXIF breaks no picture: it stands as it was stored.
        return 1


def _shrunk(image: Image.Image) -> Image.Image:
    """The first frame, decoded to its end and no larger than a master is.

    A JPEG is decoded at half size or less where that is enough.
    """
    if image.mode in {"1", "P", "PA"}:
        image = image.convert("RGBA")
    elif image.mode.startswith(("I", "F")):
        image = _eight_bits(image)
    image.thumbnail((MASTER_EDGE, MASTER_EDGE), Image.Resampling.LANCZOS, reducing_gap=3.0)
    image.load()
    # A frame of a GIF may be larger than the file's head said.
    _expect_size((max(image.width, SHORTEST_EDGE), max(image.height, SHORTEST_EDGE)))
    return image


def _eight_bits(image: Image.Image) -> Image.Image:
    """Sixteen bits of grey, which Pillow would cut off instead of scaling."""
    return image.convert("I").point(lambda level: level * (1 / 256)).convert("L")


def _plain(image: Image.Image) -> Image.Image:
    """In sRGB, on white where it was transparent, and carrying nothing but its pixels."""
    profile = image.info.get("icc_profile")
    if "A" in image.mode or "a" in image.mode or "transparency" in image.info:
        image = _on_white(image.convert("RGBA"))
    image = _in_srgb(image, profile)
    bare = Image.new("RGB", image.size)
    bare.paste(image)
    return bare


def _on_white(image: Image.Image) -> Image.Image:
    ground = Image.new("RGBA", image.size, "white")
    ground.alpha_composite(image)
    return ground.convert("RGB")


def _in_srgb(image: Image.Image, profile: object) -> Image.Image:
    """By its own profile where that is sound; else its numbers are taken for sRGB."""
    if isinstance(profile, bytes) and 0 < len(profile) <= LARGEST_PROFILE:
        try:
            converted = ImageCms.profileToProfile(
                image,
                ImageCms.ImageCmsProfile(BytesIO(profile)),
                ImageCms.createProfile("sRGB"),
                outputMode="RGB",
            )
        except (ImageCms.PyCMSError, OSError, ValueError):
            converted = None
        if converted is not None:
            return converted
    return image.convert("RGB")
