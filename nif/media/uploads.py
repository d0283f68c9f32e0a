"""Uploads: received up to a limit, recognised by their bytes, and turned into a clean master.

A master is upright, in sRGB, and has no metadata, animation, transparency or colour profile.
"""

import hashlib
import mmap
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from tempfile import TemporaryFile
from threading import Lock
from typing import IO

from PIL import Image, ImageCms
from PIL.Image import Transpose

from nif.errors import Invalid, explain_size_limit

CHUNK_BYTES = 64 * 1024
MAX_PIXELS = 50_000_000
TOO_MANY_PIXELS = "This picture has too many pixels: at most 50 million, and it has {}."
MIN_EDGE = 200
MASTER_EDGE = 3840
"""Pixels. More than the widest file needs, even where it shows only a part."""

MASTER_QUALITY = 95
MAX_PROFILE_BYTES = 4_000_000
EXIF_ORIENTATION = 0x0112

UPRIGHT_TRANSPOSES = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
"""What turns a picture upright, by its EXIF orientation (CIPA DC-008, 4.6.5)."""

PICTURE_START = re.compile(
    rb"(?P<JPEG>\xff\xd8\xff)|(?P<PNG>\x89PNG\r\n\x1a\n)|(?P<GIF>GIF8[79]a)"
    rb"|(?P<WEBP>RIFF.{4}WEBP)",
    re.DOTALL,
)
OTHER_FILE_TYPES = (
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"BM", "BMP"),
    (b"8BPS", "Photoshop"),
    (b"%PDF", "PDF"),
    (b"PK\x03\x04", "ZIP"),
    (b"MZ", "program"),
    (b"\x7fELF", "program"),
)
"""Files that are often sent instead of a picture, by their first bytes."""

HIDDEN_MARKUP = re.compile(
    rb"<(?:script|iframe|html|!doctype\s+html)[\s>/]|<svg\s[^>]{0,300}xmlns|<\?php\s", re.IGNORECASE
)
"""A page or script inside a picture, which a browser or a server could be tricked into running."""

# The description of a JUMBF box (ISO/IEC 19566-5): a UUID, a byte of toggles, then its label.
PROVENANCE_MARK = re.compile(rb"jumd.{17}c2pa|dcterms:provenance", re.DOTALL)
DECLARED_SOURCE_TYPE = re.compile(rb"digitalsourcetype/([A-Za-z]{4,60})")
image_lock = Lock()
"""A picture of 50 megapixels takes 200 MB of memory, so a process works on one at a time."""


@dataclass(frozen=True)
class ReceivedUpload:
    """An upload in a temporary file. `format` is Pillow's name of its format."""

    file: IO[bytes]
    sha256: str
    size: int
    format: str
    had_provenance: bool
    declared_source_type: str
    """The IPTC digital source type that the file itself names; empty where it names none."""


@contextmanager
def receive_upload(stream: IO[bytes], *, most: int) -> Iterator[ReceivedUpload]:
    """Copy at most `most` bytes of `stream` into a temporary file, which is deleted afterwards.

    Neither memory nor disk grows with the upload: after `most` bytes, reading stops. Raises Invalid
    for the field `file`, with a sentence for the person who sent it.
    """
    with TemporaryFile() as file:
        sha256, size = _copy_stream(stream, file, most)
        if not size:
            raise build_file_error("This file is empty. Choose the picture again.")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
            format_ = detect_picture_format(view[:64])
            if HIDDEN_MARKUP.search(view):
                raise build_file_error(
                    "This file contains a hidden web page or script, so it was refused. Export the "
                    "picture again from an image program, and upload that."
                )
            declared = DECLARED_SOURCE_TYPE.search(view)
            provenance = PROVENANCE_MARK.search(view) is not None
            source = declared[1].decode() if declared else ""
        file.seek(0)
        yield ReceivedUpload(file, sha256, size, format_, provenance, source)


def detect_picture_format(head: bytes) -> str:
    """The format of a file that begins with `head`. Raises Invalid for all but five formats."""
    if found := PICTURE_START.match(head):
        return found.lastgroup or ""
    if head[4:8] == b"ftyp":
        return _detect_box_format(head)
    raise build_file_error(_explain_unknown_format(head))


def clean_picture(file: IO[bytes], format_: str) -> Image.Image:
    """The clean picture of `file`, which has the format `format_`; at most 3840 pixels long.

    Only the first frame of an animation is decoded. Raises Invalid for the field `file`, where it
    has too many or too few pixels, or cannot be decoded completely.
    """
    with image_lock:
        try:
            with Image.open(file, formats=(format_,)) as image:
                _check_size(image.size)
                upright = UPRIGHT_TRANSPOSES.get(_exif_orientation(image))
                reduced = _shrink(image)
        except Invalid:
            raise
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise build_file_error(TOO_MANY_PIXELS.format("more")) from None
        except Exception:  # Decoders raise all kinds of errors for broken files.
            raise build_file_error(
                "This picture is broken or incomplete. Export it again, or download it again."
            ) from None
        picture = _to_bare_srgb(reduced)
        return picture.transpose(upright) if upright is not None else picture


def encode_master(image: Image.Image) -> bytes:
    """The clean picture as it is stored: a JPEG in full colour, from which all files are made."""
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=MASTER_QUALITY, subsampling=0)
    return buffer.getvalue()


def build_file_error(sentence: str) -> Invalid:
    return Invalid({"file": sentence})


def _copy_stream(stream: IO[bytes], file: IO[bytes], most: int) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    while chunk := stream.read(CHUNK_BYTES):
        size += len(chunk)
        if size > most:
            raise build_file_error(explain_size_limit(most))
        digest.update(chunk)
        file.write(chunk)
    file.flush()
    return digest.hexdigest(), size


def _detect_box_format(head: bytes) -> str:
    """AVIF and its relatives differ in the brands of their first box."""
    brands = head[8 : min(int.from_bytes(head[:4]), len(head))]
    if b"avif" in brands or b"avis" in brands:
        return "AVIF"
    if any(brand in brands for brand in (b"heic", b"heix", b"mif1", b"hevc")):
        raise build_file_error(
            "This is a HEIC photograph from a telephone. Export it as JPEG, and upload that."
        )
    raise build_file_error("This is a video, not a picture. Upload a still from it as JPEG.")


def _explain_unknown_format(head: bytes) -> str:
    plain = head.removeprefix(b"\xef\xbb\xbf").replace(b"\0", b"").lstrip(b" \t\r\n\xff\xfe")
    if plain.startswith(b"<"):
        return (
            "This is SVG, HTML or XML, whatever its name says, and can contain scripts. "
            "Export it as PNG, and upload that."
        )
    called = next((name for start, name in OTHER_FILE_TYPES if head.startswith(start)), None)
    kind = f"a {called} file" if called else "not a picture that NIF can read"
    return f"This is {kind}. Upload a JPEG, PNG, WebP, AVIF or GIF."


def _check_size(size: tuple[int, int]) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise build_file_error(TOO_MANY_PIXELS.format(f"{width * height / 1_000_000:,.0f} million"))
    if min(width, height) < MIN_EDGE:
        raise build_file_error(
            f"This picture is too small: {width} by {height} pixels. Each side needs "
            f"{MIN_EDGE} or more."
        )


def _exif_orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(EXIF_ORIENTATION, 1))
    except Exception:  # Broken EXIF is no reason to refuse a picture.
        return 1


def _shrink(image: Image.Image) -> Image.Image:
    """The first frame, decoded completely and no larger than a master.

    A JPEG is decoded at half size or less where that is enough.
    """
    if image.mode in {"1", "P", "PA"}:
        image = image.convert("RGBA")
    elif image.mode.startswith(("I", "F")):
        # Sixteen bits of grey are scaled: Pillow would cut them off.
        image = image.convert("I").point(lambda level: level * (1 / 256)).convert("L")
    image.thumbnail((MASTER_EDGE, MASTER_EDGE), Image.Resampling.LANCZOS, reducing_gap=3.0)
    image.load()
    # A frame of a GIF may be larger than the header says.
    _check_size((max(image.width, MIN_EDGE), max(image.height, MIN_EDGE)))
    return image


def _to_bare_srgb(image: Image.Image) -> Image.Image:
    """In sRGB, on white where it was transparent, with nothing but its pixels."""
    profile = image.info.get("icc_profile")
    if "A" in image.mode or "a" in image.mode or "transparency" in image.info:
        ground = Image.new("RGBA", image.size, "white")
        ground.alpha_composite(image.convert("RGBA"))
        image = ground.convert("RGB")
    image = _to_srgb(image, profile)
    bare = Image.new("RGB", image.size)
    bare.paste(image)
    return bare


def _to_srgb(image: Image.Image, profile: object) -> Image.Image:
    """Converted by its own profile if that is valid; else its values are taken for sRGB."""
    if isinstance(profile, bytes) and 0 < len(profile) <= MAX_PROFILE_BYTES:
        with suppress(ImageCms.PyCMSError, OSError, ValueError):
            own, srgb = ImageCms.ImageCmsProfile(BytesIO(profile)), ImageCms.createProfile("sRGB")
            if converted := ImageCms.profileToProfile(image, own, srgb, outputMode="RGB"):
                return converted
    return image.convert("RGB")
