"""The form of a picture: what an editor typed, and what it says and cuts."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from nif.errors import Invalid
from nif.media.cropping import RATIOS
from nif.media.describing import Description
from nif.media.keeping import Framing
from nif.media.models import Picture, Shape, SourceType
from nif.web.typed import number

HOW_MADE = {
    SourceType.CAPTURE: "A photograph",
    SourceType.CREATION: "A drawing or a graphic that a person made",
    SourceType.DATA_DRIVEN: "A chart drawn from data",
    SourceType.SCREEN: "A picture of a screen",
    SourceType.PRINT: "A scan of a print or a document",
    SourceType.COMPOSITE: "Several photographs put together",
    SourceType.WITH_AI: "Partly made with AI",
    SourceType.BY_AI: "Made by AI",
}

SHAPES = {
    Shape.ORIGINAL: "As it is",
    Shape.WIDE: "Wide, 16:9",
    Shape.CARD: "Card, 4:3",
    Shape.SQUARE: "Square, 1:1",
    Shape.SHARE: "Shared links, 1200 by 630",
}

TEXTS = ("alt", "credit", "credit_url", "licence", "licence_url", "caption")
EDGES = ("left", "top", "width")


@dataclass(frozen=True)
class CropRow:
    """A crop as typed, in percent of the picture's width, height and width."""

    by_hand: bool = False
    left: str = "0"
    top: str = "0"
    width: str = "100"


@dataclass(frozen=True)
class PictureForm:
    """All that the form holds; `edits` is the count of savings that the editor began from."""

    alt: str = ""
    is_decorative: bool = False
    credit: str = ""
    credit_url: str = ""
    licence: str = ""
    licence_url: str = ""
    caption: str = ""
    source_type: str = ""
    focus_x: str = "50"
    focus_y: str = "50"
    crops: dict[str, CropRow] = field(default_factory=dict)
    edits: int = 0


def filled(picture: Picture) -> PictureForm:
    """The form of a picture in the library."""
    return PictureForm(
        **{name: getattr(picture, name) for name in TEXTS},
        is_decorative=picture.is_decorative,
        source_type=picture.source_type.value,
        focus_x=_percent(picture.focus_x),
        focus_y=_percent(picture.focus_y),
        crops={shape.value: _row(picture.crops.get(shape.value)) for shape in RATIOS},
        edits=picture.edits,
    )


def read(values: Mapping[str, str]) -> PictureForm:
    """What was typed. Nothing is refused here."""
    edits = values.get("edits", "")
    return PictureForm(
        **{name: _line(values.get(name, "")) for name in (*TEXTS, "source_type")},
        is_decorative="is_decorative" in values,
        focus_x=_line(values.get("focus_x", "50")),
        focus_y=_line(values.get("focus_y", "50")),
        crops={
            shape.value: CropRow(
                f"{shape.value}-by_hand" in values,
                *(_line(values.get(f"{shape.value}-{edge}", "")) for edge in EDGES),
            )
            for shape in RATIOS
        },
        edits=number(edits),
    )


def description_of(form: PictureForm) -> Description:
    """Raises Invalid where it is not said how the picture came to be."""
    kinds = [kind for kind in SourceType if kind.value == form.source_type]
    if not kinds:
        raise Invalid({"source_type": "Say how this picture was made."})
    return Description(
        **{name: getattr(form, name) for name in TEXTS},
        is_decorative=form.is_decorative,
        source_type=kinds[0],
    )


def framing_of(form: PictureForm) -> Framing:
    """Where to cut; numbers that make no sense are outside of every picture, and refused there."""
    crops = {
        shape: [_part(row.left), _part(row.top), _part(row.width)]
        for shape, row in form.crops.items()
        if row.by_hand
    }
    return Framing(_part(form.focus_x), _part(form.focus_y), crops)


def _part(percent: str) -> float:
    """0..1 for 0 to 100, and -1 for what is no such number."""
    whole = re.fullmatch(r"\d{1,3}(?:[.,]\d{1,4})?", percent, re.ASCII)
    return float(percent.replace(",", ".")) / 100 if whole else -1.0


def _percent(part: float) -> str:
    return f"{part * 100:.2f}".rstrip("0").rstrip(".")


def _row(crop: list[float] | None) -> CropRow:
    return CropRow(True, *map(_percent, crop)) if crop else CropRow()


def _line(text: str) -> str:
    """Text as typed, on one line, without the characters that no database keeps."""
    return " ".join("".join(c for c in text if c.isprintable() or c.isspace()).split())
