"""A story's pictures for machines: where it is shared, in search, and in feeds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nif.links import Links
from nif.media.freezing import file_of
from nif.media.models import Shape
from nif.stories.models import Revision
from nif.stories.picturing import records_of

JPEG = "image/jpeg"
IN_FEEDS = 960
"""Pixels: a page's column."""

SOURCE_TYPES = {
    "capture": "DigitalCaptureDigitalSource",
    "creation": "DigitalArtDigitalSource",
    "composite": "CompositeCaptureDigitalSource",
    "with_ai": "CompositeWithTrainedAlgorithmicMediaDigitalSource",
    "by_ai": "TrainedAlgorithmicMediaDigitalSource",
}
"""schema.org's terms for how a picture came to be, where it has one."""


@dataclass(frozen=True)
class ShownImage:
    """A file of a picture. `address` is absolute, `width` and `height` are pixels."""

    address: str
    width: int
    height: int
    alt: str
    credit: str
    kind: str = JPEG


def share_image(story: Revision, links: Links) -> ShownImage | None:
    """The card that other sites show where a story is shared."""
    return _shown(story.picture, links, Shape.SHARE, 1200) if story.picture else None


def in_feed(record: Mapping[str, Any] | None, links: Links) -> ShownImage | None:
    """A picture as feeds show it: whole, at a page's width."""
    return _shown(record, links, Shape.ORIGINAL, IN_FEEDS) if record else None


def images(story: Revision, links: Links) -> list[dict[str, Any]]:
    """The pictures of a story as schema.org's ImageObjects: the one that leads it in every shape,
    as Google asks for it, and the others as they are."""
    found = []
    for record in records_of(story):
        shapes = list(Shape) if record is story.picture else [Shape.ORIGINAL]
        found += [_image_object(record, shape, links) for shape in shapes]
    return found


def _shown(record: Mapping[str, Any], links: Links, shape: Shape, width: int) -> ShownImage:
    name, wide, high = file_of(record, shape, width=width)
    return ShownImage(links.picture(name), wide, high, record["alt"], record["credit"])


def _image_object(record: Mapping[str, Any], shape: Shape, links: Links) -> dict[str, Any]:
    image = _shown(record, links, shape, record["width"])
    told = {
        "caption": record["caption"],
        "license": record["licence_url"],
        "digitalSourceType": _source_type(record),
    }
    return {
        "@type": "ImageObject",
        "url": image.address,
        "width": image.width,
        "height": image.height,
        "creditText": record["credit"],
        **{name: words for name, words in told.items() if words},
    }


def _source_type(record: Mapping[str, Any]) -> str:
    term = SOURCE_TYPES.get(record["source_type"])
    return f"https://schema.org/{term}" if term else ""
