"""A story for machines: the transparency record, its pictures, and schema.org's JSON-LD.

The JSON-LD is a NewsArticle by schema.org 30 and Google's rules for articles. The transparency
block is its `backstory`, the property for why and how a story was made, with a link to the record
and its hash. schema.org has no term for relationships.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from nif.links import Links
from nif.media.models import PictureShape, choose_jpeg_file
from nif.settings import Settings
from nif.stories.corrections import StoryNote
from nif.stories.models import CORRECTIVE_KINDS, Revision, StoryType, picture_records_of
from nif.stories.transparency_block import OWN_REPORTING_KINDS
from nif.typography import replace_invalid_xml, typeset
from nif.web.filters import format_timestamp
from nif.web.public.policies import POLICIES

RECORD_VERSION = "1.0"


def transparency_record(story: Revision, links: Links) -> dict[str, Any]:
    """A revision's sources, reason, answers and sentences, with straight apostrophes as stored.

    It depends on the revision alone, so its bytes can be hashed wherever it is linked.
    """
    return {
        "version": RECORD_VERSION,
        "story": links.story(story.slug),
        "headline": story.headline,
        "story_type": story.story_type.value,
        "revision": story.n,
        "published_at": format_timestamp(story.published_at),
        "first_published_at": format_timestamp(story.first_published_at),
        "content_hash": story.content_hash,
        "sources": [dict(source) for source in story.sources],
        # An answer has the name of who affirmed it, but not their account's id.
        "answers": {
            question: {name: value for name, value in answer.items() if name != "by_id"}
            for question, answer in story.answers.items()
        },
        "reason": next((one["text"] for one in story.block if one["kind"] == "reason"), None),
        "sentences": [
            {
                "kind": sentence["kind"],
                "text": sentence["text"],
                "links": [{"text": words, "url": url} for words, url in sentence["links"]],
            }
            for sentence in story.block
        ],
    }


def transparency_record_json(story: Revision, links: Links) -> str:
    """The content of the story's transparency.json."""
    record = json.dumps(transparency_record(story, links), ensure_ascii=False, indent=2)
    return f"{replace_invalid_xml(record)}\n"


JPEG_TYPE = "image/jpeg"
FEED_IMAGE_WIDTH = 960
"""Pixels: the width of a page's column."""

DIGITAL_SOURCE_TYPES = {
    "capture": "DigitalCaptureDigitalSource",
    "creation": "DigitalArtDigitalSource",
    "composite": "CompositeCaptureDigitalSource",
    "with_ai": "CompositeWithTrainedAlgorithmicMediaDigitalSource",
    "by_ai": "TrainedAlgorithmicMediaDigitalSource",
}
"""schema.org's terms for how a picture was made; other types have none."""


@dataclass(frozen=True)
class ImageFile:
    """A picture file. `address` is absolute, `width` and `height` are in pixels."""

    address: str
    width: int
    height: int
    alt: str
    credit: str
    kind: str = JPEG_TYPE


def share_image(story: Revision, links: Links) -> ImageFile | None:
    """The picture that other sites show when a story is shared."""
    return _image_file(story.picture, links, PictureShape.SHARE, 1200) if story.picture else None


def feed_image(record: Mapping[str, Any] | None, links: Links) -> ImageFile | None:
    """A picture as feeds show it: uncropped, at the width of a page's column."""
    return _image_file(record, links, PictureShape.ORIGINAL, FEED_IMAGE_WIDTH) if record else None


def image_objects(story: Revision, links: Links) -> list[dict[str, Any]]:
    """A story's pictures as schema.org ImageObjects.

    The lead picture is included in every shape, as Google asks, and the others uncropped.
    """
    found = []
    for record in picture_records_of(story):
        shapes = list(PictureShape) if record is story.picture else [PictureShape.ORIGINAL]
        found += [_image_object(record, shape, links) for shape in shapes]
    return found


def _image_file(
    record: Mapping[str, Any], links: Links, shape: PictureShape, width: int
) -> ImageFile:
    name, wide, high = choose_jpeg_file(record, shape, width=width)
    return ImageFile(links.picture(name), wide, high, record["alt"], record["credit"])


def _image_object(record: Mapping[str, Any], shape: PictureShape, links: Links) -> dict[str, Any]:
    image = _image_file(record, links, shape, record["width"])
    source_type = DIGITAL_SOURCE_TYPES.get(record["source_type"])
    optional = {
        "caption": record["caption"],
        "license": record["licence_url"],
        "digitalSourceType": source_type and f"https://schema.org/{source_type}",
    }
    return {
        "@type": "ImageObject",
        "url": image.address,
        "width": image.width,
        "height": image.height,
        "creditText": record["credit"],
        **{name: value for name, value in optional.items() if value},
    }


ARTICLE_TYPES = {
    StoryType.REPORT: "ReportageNewsArticle",
    StoryType.ANALYSIS: "AnalysisNewsArticle",
    StoryType.EXPLAINER: "BackgroundNewsArticle",
    StoryType.INTERVIEW: "ReportageNewsArticle",
    StoryType.OPINION: "OpinionNewsArticle",
}

POLICY_PROPERTIES = {
    "publishingPrinciples": "manifesto",
    "missionCoveragePrioritiesPolicy": "manifesto",
    "ethicsPolicy": "ethics",
    "correctionsPolicy": "corrections",
    "ownershipFundingInfo": "ownership-and-funding",
    "verificationFactCheckingPolicy": "verification",
    "unnamedSourcesPolicy": "unnamed-sources",
    "actionableFeedbackPolicy": "feedback",
    "noBylinesPolicy": "bylines",
}


def news_article(
    story: Revision, links: Links, settings: Settings, notes: Sequence[StoryNote] = ()
) -> dict[str, Any]:
    """The JSON-LD of a story with its notes; what the page does not show is not in it."""
    address = links.story(story.slug)
    pictures = image_objects(story, links)
    return {
        "@context": "https://schema.org",
        "@type": _article_types(story),
        "@id": f"{address}#article",
        "url": address,
        "mainEntityOfPage": {"@type": "WebPage", "@id": address},
        "headline": typeset(story.headline),
        **({"description": typeset(story.dek)} if story.standing.stands else {}),
        "inLanguage": settings.language,
        "datePublished": format_timestamp(story.first_published_at),
        "dateModified": format_timestamp(story.modified_at),
        "version": story.n,
        "genre": story.story_type.value.capitalize(),
        "keywords": [name for _, name in story.tags],
        "wordCount": story.word_count,
        "timeRequired": f"PT{story.reading_minutes}M",
        "isAccessibleForFree": True,
        **({"image": pictures} if pictures else {}),
        "author": [{"@type": "Person", "name": story.byline}],
        "publisher": _publisher(links, settings),
        "publishingPrinciples": links.policy("manifesto"),
        "usageInfo": links.policy("ai-and-reuse"),
        "isBasedOn": [
            _source_work(s) for s in story.sources if s["kind"] not in OWN_REPORTING_KINDS
        ],
        "correction": [
            {
                "@type": "CorrectionComment",
                "@id": f"{address}#note-{note.id}",
                "text": typeset(note.text),
                "datePublished": format_timestamp(note.at),
            }
            for note in notes
            if note.kind in CORRECTIVE_KINDS
        ],
        "backstory": _backstory(story, links),
    }


def _article_types(story: Revision) -> str | list[str]:
    """Google knows NewsArticle, others the precise type. Only what we found out is reportage."""
    precise = ARTICLE_TYPES.get(story.story_type)
    if precise == "ReportageNewsArticle" and not any(
        s["kind"] in OWN_REPORTING_KINDS for s in story.sources
    ):
        precise = None
    return ["NewsArticle", precise] if precise else "NewsArticle"


def _publisher(links: Links, settings: Settings) -> dict[str, Any]:
    parent = {"@type": "Organization", "name": settings.owner_name}
    if settings.parent_url:
        parent["url"] = str(settings.parent_url)
    policies = {
        name: links.policy(slug) for name, slug in POLICY_PROPERTIES.items() if slug in POLICIES
    }
    return {
        "@type": "NewsMediaOrganization",
        "@id": f"{links.home()}#org",
        "name": settings.site_name,
        "alternateName": settings.site_short_name,
        "url": links.home(),
        "parentOrganization": parent,
        **policies,
    }


def _backstory(story: Revision, links: Links) -> dict[str, Any]:
    address = f"{links.story(story.slug)}#transparency"
    return {
        "@type": "CreativeWork",
        "@id": address,
        "name": "Disclosures & Transparency Block",
        "url": address,
        "text": typeset(" ".join(sentence["text"] for sentence in story.block)),
        "encoding": {
            "@type": "DataDownload",
            "encodingFormat": "application/json",
            "contentUrl": links.transparency_record(story.slug),
            "sha256": sha256(transparency_record_json(story, links).encode()).hexdigest(),
        },
    }


def _source_work(source: dict[str, Any]) -> dict[str, Any]:
    work: dict[str, Any] = {"@type": "CreativeWork", "name": source["title"] or source["publisher"]}
    if source["url"]:
        work["url"] = source["url"]
    if source["publisher"]:
        work["publisher"] = {"@type": "Organization", "name": source["publisher"]}
    return work
