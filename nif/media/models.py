"""A picture in the library, the files that are made of it, and its snapshots in stories."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from nif.accounts.models import Account
from nif.claims import WorkRow
from nif.database import Base, BigId
from nif.errors import Conflict


class PictureShape(StrEnum):
    ORIGINAL = "original"
    WIDE = "wide"
    CARD = "card"
    SQUARE = "square"
    SHARE = "share"


SHAPE_RATIOS: Mapping[PictureShape, tuple[int, int]] = {
    PictureShape.WIDE: (16, 9),
    PictureShape.CARD: (4, 3),
    PictureShape.SQUARE: (1, 1),
    PictureShape.SHARE: (1200, 630),
}
"""Width to height of the shapes that are cropped."""


class PictureFormat(StrEnum):
    AVIF = "avif"
    WEBP = "webp"
    JPEG = "jpeg"


class DigitalSourceType(StrEnum):
    """How a picture came to be. `renditions` maps each to its term in the IPTC vocabulary."""

    CAPTURE = "capture"
    CREATION = "creation"
    DATA_DRIVEN = "data_driven"
    SCREEN = "screen"
    PRINT = "print"
    COMPOSITE = "composite"
    WITH_AI = "with_ai"
    BY_AI = "by_ai"


class PictureAiUse(StrEnum):
    NONE = "none"
    ASSISTED = "assisted"
    GENERATED = "generated"


AI_USES = {
    DigitalSourceType.BY_AI: PictureAiUse.GENERATED,
    DigitalSourceType.WITH_AI: PictureAiUse.ASSISTED,
}


class Picture(WorkRow, Base):
    """A picture of the library: its clean master, its description, and how it is cropped.

    `width` and `height` are those of the upright master. The focus lies in 0..1 from the left and
    the top. `crops` maps a shape that was cropped by hand to [left, top, width], each in 0..1 of
    the picture's width, height and width. `requested_set` counts the sets of files that were
    requested; `ready_set` is the newest set that is complete; the picture is due while they differ
    and was attempted `attempts` times since the last request. `declared_source_type` is the digital
    source type that the uploaded file itself named, if any.
    """

    __tablename__ = "picture"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    sha256: Mapped[str] = mapped_column(unique=True)
    master: Mapped[str]
    width: Mapped[int]
    height: Mapped[int]
    alt: Mapped[str]
    is_decorative: Mapped[bool]
    credit: Mapped[str]
    credit_url: Mapped[str]
    licence: Mapped[str]
    licence_url: Mapped[str]
    caption: Mapped[str]
    source_type: Mapped[DigitalSourceType]
    declared_source_type: Mapped[str]
    had_provenance: Mapped[bool]
    focus_x: Mapped[float] = mapped_column(default=0.5)
    focus_y: Mapped[float] = mapped_column(default=0.5)
    crops: Mapped[dict[str, Any]] = mapped_column(default=dict)
    search_text: Mapped[str]
    use_count: Mapped[int] = mapped_column(default=0)
    requested_set: Mapped[int] = mapped_column(default=1)
    ready_set: Mapped[int] = mapped_column(default=0)
    attempts: Mapped[int] = mapped_column(default=0)
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey(Account.id))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    edits: Mapped[int] = mapped_column(default=0)

    renditions: Mapped[list["Rendition"]] = relationship(
        primaryjoin=lambda: (
            (Rendition.picture_id == Picture.id) & (Rendition.set_number == Picture.ready_set)
        ),
        order_by=lambda: (Rendition.shape, Rendition.format, Rendition.width),
        viewonly=True,
    )

    @property
    def ai_use(self) -> PictureAiUse:
        """Derived from the source type, so that the two never contradict each other."""
        return AI_USES.get(self.source_type, PictureAiUse.NONE)

    @property
    def is_preparing(self) -> bool:
        return self.ready_set < self.requested_set


class Rendition(Base):
    """One file made of a picture, in a shape, format and size. Its name is a hash of its content.

    Files of earlier sets stay as long as the picture does, because revisions of stories show them.
    """

    __tablename__ = "rendition"
    __table_args__ = (UniqueConstraint("picture_id", "set_number", "shape", "format", "width"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    picture_id: Mapped[int] = mapped_column(ForeignKey(Picture.id))
    set_number: Mapped[int]
    shape: Mapped[PictureShape]
    format: Mapped[PictureFormat]
    width: Mapped[int]
    height: Mapped[int]
    size: Mapped[int]
    name: Mapped[str]


COPIED_FIELDS = (
    *("id", "alt", "is_decorative", "caption", "credit", "credit_url"),
    *("licence", "licence_url", "width", "height", "had_provenance"),
)

AI_LABELS = {"generated": "Made by AI", "assisted": "Partly made with AI"}
"""What readers see beside a picture, by its `ai_use`."""


def snapshot_picture(picture: Picture) -> dict[str, Any]:
    """A picture as a revision of a story keeps it, whatever happens to it in the library, for JSON.

    {"id", "alt", …, "ai_use": "none" | "assisted" | "generated", "source_type",
     "shapes": {shape: {format: [[name, width, height], …]}}}, the narrowest first.

    Raises Conflict while its first files are being made.
    """
    if not picture.ready_set:
        raise Conflict("This picture is still being prepared. Try again in a few seconds.")
    shapes: dict[str, dict[str, list[list[Any]]]] = {}
    for one in sorted(picture.renditions, key=lambda each: each.width):
        files = shapes.setdefault(one.shape.value, {}).setdefault(one.format.value, [])
        files.append([one.name, one.width, one.height])
    return {
        **{name: getattr(picture, name) for name in COPIED_FIELDS},
        "ai_use": picture.ai_use.value,
        "source_type": picture.source_type.value,
        "shapes": shapes,
    }


def choose_jpeg_file(
    record: Mapping[str, Any], shape: PictureShape, *, width: int
) -> tuple[str, int, int]:
    """The JPEG of a snapshot whose width is nearest to `width`: its name, width and height."""
    files = record["shapes"][shape.value][PictureFormat.JPEG.value]
    name, wide, high = min(files, key=lambda each: abs(each[1] - width))
    return name, wide, high
