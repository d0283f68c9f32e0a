"""Making the files of a picture: cropped to shapes, in several sizes and formats, with metadata.

The worker makes them, because 24 megapixels take five seconds. If two workers make the same files,
because the first took longer than its lease, the first to finish counts and the other does no harm:
the name of a file is a hash of its content.

Each file carries an XMP packet (ISO 16684-1) with a few properties of the IPTC Photo Metadata
Standard 2024.1: credit, licence and digital source type. No metadata of the upload is passed on.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from io import BytesIO
from typing import Any
from xml.sax.saxutils import escape

from PIL import Image, features
from sqlalchemy.orm import Session

from nif.claims import claim_next
from nif.database import Transaction
from nif.media.models import (
    SHAPE_RATIOS,
    DigitalSourceType,
    Picture,
    PictureFormat,
    PictureShape,
    Rendition,
)
from nif.media.storage import EXTENSIONS, MediaStorage, content_file_name
from nif.media.uploads import image_lock
from nif.typography import replace_invalid_xml

RENDITION_WIDTHS = (480, 960, 1600)
"""Pixels: a telephone, the column of a page, and that column on a high-density screen."""

SHARE_SIZE = (1200, 630)
"""The exact size that social sites ask for."""

HAS_AVIF = bool(features.check("avif"))

ENCODER_OPTIONS: Mapping[PictureFormat, Mapping[str, Any]] = {
    PictureFormat.AVIF: {"quality": 60, "speed": 7},
    PictureFormat.WEBP: {"quality": 80, "method": 4},
    PictureFormat.JPEG: {"quality": 82, "progressive": True, "optimize": True},
}
RENDITION_LEASE = timedelta(minutes=3)
MAX_ATTEMPTS = 3
SOURCE_TYPE_VOCABULARY = "http://cv.iptc.org/newscodes/digitalsourcetype/"

IPTC_SOURCE_TYPE_TERMS = {
    DigitalSourceType.CAPTURE: "digitalCapture",
    DigitalSourceType.CREATION: "digitalCreation",
    DigitalSourceType.DATA_DRIVEN: "dataDrivenMedia",
    DigitalSourceType.SCREEN: "screenCapture",
    DigitalSourceType.PRINT: "print",
    DigitalSourceType.COMPOSITE: "compositeCapture",
    DigitalSourceType.WITH_AI: "compositeWithTrainedAlgorithmicMedia",
    DigitalSourceType.BY_AI: "trainedAlgorithmicMedia",
}
"""The terms of the IPTC vocabulary of digital source types."""

XMP_PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about=""
 xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"
 xmlns:xmpRights="http://ns.adobe.com/xap/1.0/rights/"
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">
{properties}
</rdf:Description>
</rdf:RDF>
</x:xmpmeta>
<?xpacket end="r"?>"""

CropBox = tuple[int, int, int, int]


def make_due_renditions(
    transaction: Transaction, storage: MediaStorage, *, clock: Callable[[], datetime]
) -> int:
    """Make the files of all pictures that lack them; returns the number of pictures."""
    count = 0
    while True:
        with transaction() as session:
            may_try = Picture.attempts < MAX_ATTEMPTS
            picture = claim_next(session, Picture, may_try, lease=RENDITION_LEASE, now=clock())
            if picture is None:
                return count
            picture.attempts += 1
        rows = _render_and_store(storage, picture)
        with transaction() as session:
            is_deleted = not record_renditions(session, picture.id, picture.requested_set, rows)
        if is_deleted:
            storage.delete({row.name for row in rows})
        count += 1


def make_renditions_of(session: Session, storage: MediaStorage, picture: Picture) -> None:
    """Make the files of one picture within the caller's transaction.

    For the demo, whose stories are published at once. Two megapixels take one or two seconds.
    """
    rows = _render_and_store(storage, picture)
    record_renditions(session, picture.id, picture.requested_set, rows)


def has_rendering_failed(picture: Picture, *, now: datetime) -> bool:
    """Were the files tried so often that no worker tries again?"""
    is_claimed = picture.due_at is not None and picture.due_at > now
    return picture.is_preparing and picture.attempts >= MAX_ATTEMPTS and not is_claimed


def record_renditions(
    session: Session, picture_id: int, set_number: int, rows: list[Rendition]
) -> bool:
    """Make a set of files the current one; False where the picture was deleted in the meantime.

    A set that another worker completed is left as it is, and a newer set wins.
    """
    picture = session.get(Picture, picture_id, with_for_update=True, populate_existing=True)
    if picture is None:
        return False
    if picture.ready_set < set_number:
        for row in rows:
            row.picture_id, row.set_number = picture_id, set_number
        session.add_all(rows)
        picture.ready_set, picture.attempts = set_number, 0
    if not picture.is_preparing:
        picture.due_at, picture.attempts = None, 0
    session.flush()
    return True


def _render_and_store(storage: MediaStorage, picture: Picture) -> list[Rendition]:
    rows = []
    for row, data in render_files(storage.get(picture.master), picture):
        row.name = content_file_name(data, EXTENSIONS[row.format], of=picture.sha256)
        storage.put(row.name, data)
        rows.append(row)
    return rows


def render_files(master: bytes, picture: Picture) -> Iterator[tuple[Rendition, bytes]]:
    """Every file of a picture, yet without a name: its own shape, the crops, and the share card."""
    focus, xmp = (picture.focus_x, picture.focus_y), build_xmp_packet(picture)
    with image_lock, Image.open(BytesIO(master), formats=("JPEG",)) as image:
        image.load()
        for shape in PictureShape:
            part = compute_crop_box(image.size, shape, focus, picture.crops)
            for size in rendition_sizes_of(shape, part[2] - part[0], part[3] - part[1]):
                small = image.resize(size, Image.Resampling.LANCZOS, box=part, reducing_gap=3.0)
                small.info.clear()
                for format_ in rendition_formats_of(shape):
                    data = encode_rendition(small, format_, xmp)
                    facts = {"width": size[0], "height": size[1], "size": len(data)}
                    yield Rendition(shape=shape, format=format_, **facts), data


def rendition_sizes_of(shape: PictureShape, width: int, height: int) -> list[tuple[int, int]]:
    """The sizes that are made of a part of `width` by `height`: never larger than the part."""
    if shape is PictureShape.SHARE:
        return [SHARE_SIZE]
    widths = dict.fromkeys(min(width, each) for each in RENDITION_WIDTHS)
    return [(each, max(1, round(height * each / width))) for each in widths]


def rendition_formats_of(shape: PictureShape) -> list[PictureFormat]:
    if shape is PictureShape.SHARE:
        return [PictureFormat.JPEG]
    modern = [PictureFormat.AVIF] if shape is PictureShape.ORIGINAL and HAS_AVIF else []
    return [*modern, PictureFormat.WEBP, PictureFormat.JPEG]


def encode_rendition(image: Image.Image, format_: PictureFormat, xmp: bytes) -> bytes:
    """The encoded picture, with the metadata packet and nothing else beside the pixels."""
    buffer = BytesIO()
    image.save(buffer, format_.value, xmp=xmp, **ENCODER_OPTIONS[format_])
    return buffer.getvalue()


def build_xmp_packet(picture: Picture) -> bytes:
    plain = {
        "photoshop:Credit": picture.credit,
        "xmpRights:WebStatement": picture.licence_url,
        "Iptc4xmpExt:DigitalSourceType": SOURCE_TYPE_VOCABULARY
        + IPTC_SOURCE_TYPE_TERMS[picture.source_type],
    }
    lines = [f"<{name}>{escape(words)}</{name}>" for name, words in plain.items() if words]
    if picture.licence:
        lines.append(
            '<dc:rights><rdf:Alt><rdf:li xml:lang="x-default">'
            f"{escape(picture.licence)}</rdf:li></rdf:Alt></dc:rights>"
        )
    return XMP_PACKET.format(properties=replace_invalid_xml("\n".join(lines))).encode()


def compute_crop_box(
    size: tuple[int, int], shape: PictureShape, focus: tuple[float, float], crops: Mapping[str, Any]
) -> CropBox:
    """The part of a picture that a shape shows: left, top, right, bottom in pixels.

    `size` is the picture's; `focus` and `crops` are its fields. Without a crop by hand, the part is
    as large as fits, with the focus as near to its middle as the edges allow.
    """
    if shape is PictureShape.ORIGINAL:
        return (0, 0, *size)
    ratio = SHAPE_RATIOS[shape]
    width = min(size[0], round(size[1] * ratio[0] / ratio[1]))
    height = min(size[1], max(1, round(width * ratio[1] / ratio[0])))
    if by_hand := crops.get(shape.value):
        left, top, part = by_hand
        most = (width, height)
        width = min(most[0], max(1, round(part * size[0])))
        height = min(most[1], max(1, round(width * most[1] / most[0])))
        left, top = round(left * size[0]), round(top * size[1])
    else:
        left = round(focus[0] * size[0] - width / 2)
        top = round(focus[1] * size[1] - height / 2)
    # What reaches over an edge is moved inside.
    left = max(0, min(left, size[0] - width))
    top = max(0, min(top, size[1] - height))
    return left, top, left + width, top + height
