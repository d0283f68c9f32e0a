"""A picture in the library, and the files that are made of it."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from nif.accounts.models import Account
from nif.database import Base, BigId


class PictureShape(StrEnum):
    ORIGINAL = "original"
    WIDE = "wide"
    CARD = "card"
    SQUARE = "square"
    SHARE = "share"


class PictureFormat(StrEnum):
    AVIF = "avif"
    WEBP = "webp"
    JPEG = "jpeg"


class DigitalSourceType(StrEnum):
    """How a picture came to be. `labelling` has the terms of the IPTC for it."""

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


class Picture(Base):
    """`width` and `height` are those of the clean master, as it is to be looked at.

    The focus lies in 0..1 from the left and the top. `crops` maps a shape to [left, top, width],
    each in 0..1 of the picture's width, height and width, where somebody cut it by hand. `wanted`
    counts the sets of files that were asked for, `made` the newest set that is there.
    `declared_source_type` is the digital source type that the upload itself named, if any.
    """

    __tablename__ = "picture"
    __table_args__ = (
        Index(
            "ix_picture_due",
            "id",
            sqlite_where=text("ready_set < requested_set"),
            postgresql_where=text("ready_set < requested_set"),
        ),
    )

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
    tries: Mapped[int] = mapped_column(default=0)
    claimed_at: Mapped[datetime | None]
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
        """Follows from how it came to be, so that the two never say different things."""
        if self.source_type is DigitalSourceType.BY_AI:
            return PictureAiUse.GENERATED
        return (
            PictureAiUse.ASSISTED
            if self.source_type is DigitalSourceType.WITH_AI
            else PictureAiUse.NONE
        )

    @property
    def is_preparing(self) -> bool:
        return self.ready_set < self.requested_set


class Rendition(Base):
    """One file made of a picture: a shape, a format, a size. Its name says what is in it.

    Files of earlier cuts stay for as long as the picture: revisions of stories show them.
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
