"""The picture form as typed, and its conversion to a description and crops."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from nif.errors import Invalid
from nif.media.library import PictureDescription, PictureFraming
from nif.media.models import SHAPE_RATIOS, DigitalSourceType, Picture, PictureShape
from nif.web.forms import clean_line, parse_number

SOURCE_TYPE_LABELS = {
    DigitalSourceType.CAPTURE: "A photograph",
    DigitalSourceType.CREATION: "A drawing or graphic made by a person",
    DigitalSourceType.DATA_DRIVEN: "A chart drawn from data",
    DigitalSourceType.SCREEN: "A screenshot",
    DigitalSourceType.PRINT: "A scan of a print or document",
    DigitalSourceType.COMPOSITE: "A composite of several photographs",
    DigitalSourceType.WITH_AI: "Partly made with AI",
    DigitalSourceType.BY_AI: "Made by AI",
}

SHAPE_LABELS = {
    PictureShape.ORIGINAL: "Original",
    PictureShape.WIDE: "Wide, 16:9",
    PictureShape.CARD: "Card, 4:3",
    PictureShape.SQUARE: "Square, 1:1",
    PictureShape.SHARE: "Shared links, 1200 by 630",
}

PICTURE_TEXT_FIELDS = ("alt", "credit", "credit_url", "licence", "licence_url", "caption")
CROP_EDGES = ("left", "top", "width")


@dataclass(frozen=True)
class CropRow:
    """A crop as typed, in percent of the picture's width, height and width."""

    is_manual: bool = False
    left: str = "0"
    top: str = "0"
    width: str = "100"


@dataclass(frozen=True)
class PictureForm:
    """The whole form. `edits` is the picture's save count when the editor opened the form."""

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


def picture_form_of(picture: Picture) -> PictureForm:
    """The form filled with a picture of the library."""
    return PictureForm(
        **{name: getattr(picture, name) for name in PICTURE_TEXT_FIELDS},
        is_decorative=picture.is_decorative,
        source_type=picture.source_type.value,
        focus_x=_percent(picture.focus_x),
        focus_y=_percent(picture.focus_y),
        crops={shape.value: _crop_row(picture.crops.get(shape.value)) for shape in SHAPE_RATIOS},
        edits=picture.edits,
    )


def read_picture_form(values: Mapping[str, str]) -> PictureForm:
    """The form as typed. Nothing is refused here."""
    edits = values.get("edits", "")
    return PictureForm(
        **{
            name: clean_line(values.get(name, "")) for name in (*PICTURE_TEXT_FIELDS, "source_type")
        },
        is_decorative="is_decorative" in values,
        focus_x=clean_line(values.get("focus_x", "50")),
        focus_y=clean_line(values.get("focus_y", "50")),
        crops={
            shape.value: CropRow(
                f"{shape.value}-is_manual" in values,
                *(clean_line(values.get(f"{shape.value}-{edge}", "")) for edge in CROP_EDGES),
            )
            for shape in SHAPE_RATIOS
        },
        edits=parse_number(edits),
    )


def description_of(form: PictureForm) -> PictureDescription:
    """Raises Invalid if no source type is chosen."""
    kinds = [kind for kind in DigitalSourceType if kind.value == form.source_type]
    if not kinds:
        raise Invalid({"source_type": "Choose how this picture was made."})
    return PictureDescription(
        **{name: getattr(form, name) for name in PICTURE_TEXT_FIELDS},
        is_decorative=form.is_decorative,
        source_type=kinds[0],
    )


def framing_of(form: PictureForm) -> PictureFraming:
    """The focus point and manual crops. Unreadable numbers become -1, which the library refuses."""
    crops = {
        shape: [_fraction(row.left), _fraction(row.top), _fraction(row.width)]
        for shape, row in form.crops.items()
        if row.is_manual
    }
    return PictureFraming(_fraction(form.focus_x), _fraction(form.focus_y), crops)


def _fraction(percent: str) -> float:
    """0 to 100 percent as 0 to 1; -1 for other text."""
    match = re.fullmatch(r"\d{1,3}(?:[.,]\d{1,4})?", percent, re.ASCII)
    return float(percent.replace(",", ".")) / 100 if match else -1.0


def _percent(part: float) -> str:
    return f"{part * 100:.2f}".rstrip("0").rstrip(".")


def _crop_row(crop: list[float] | None) -> CropRow:
    return CropRow(True, *map(_percent, crop)) if crop else CropRow()
