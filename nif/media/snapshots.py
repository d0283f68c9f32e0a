"""A picture as a revision of a story keeps it: complete, whatever happens to it in the library."""

from collections.abc import Mapping
from typing import Any

from nif.errors import Conflict
from nif.media.models import Picture, PictureFormat, PictureShape

COPIED_FIELDS = (
    *("id", "alt", "is_decorative", "caption", "credit", "credit_url"),
    *("licence", "licence_url", "width", "height", "had_provenance"),
)

AI_LABELS = {"generated": "Made by AI", "assisted": "Partly made with AI"}
"""What readers see beside a picture, by its `ai_use`."""


def choose_jpeg_file(
    record: Mapping[str, Any], shape: PictureShape, *, width: int
) -> tuple[str, int, int]:
    """The JPEG of a snapshot whose width is nearest to `width`: its name, width and height."""
    files = record["shapes"][shape.value][PictureFormat.JPEG.value]
    name, wide, high = min(files, key=lambda each: abs(each[1] - width))
    return name, wide, high


def snapshot_picture(picture: Picture) -> dict[str, Any]:
    """All that a page needs to show a picture, for JSON.

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
