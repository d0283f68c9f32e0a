"""A story for machines: schema.org's NewsArticle as JSON-LD.

It follows schema.org 30 and Google's rules for articles.

The transparency block travels as `backstory`, the property for why and how a story was made.
"""

from collections.abc import Sequence
from typing import Any

from nif.links import Links
from nif.settings import Settings
from nif.stories.disclosing import OUR_OWN
from nif.stories.history import CORRECTIVE
from nif.stories.models import Revision, StoryType
from nif.stories.notes import Note
from nif.typography import typeset
from nif.web.filters import iso

PRECISE_TYPE = {
    StoryType.REPORT: "ReportageNewsArticle",
    StoryType.ANALYSIS: "AnalysisNewsArticle",
    StoryType.EXPLAINER: "BackgroundNewsArticle",
    StoryType.INTERVIEW: "ReportageNewsArticle",
    StoryType.OPINION: "OpinionNewsArticle",
}


def news_article(
    story: Revision, links: Links, settings: Settings, notes: Sequence[Note] = ()
) -> dict[str, Any]:
    """The JSON-LD of a story with its notes; what the page does not show is not in it."""
    address = links.story(story.slug)
    precise = PRECISE_TYPE.get(story.story_type)
    return {
        "@context": "https://schema.org",
        "@type": ["NewsArticle", precise] if precise else "NewsArticle",
        "@id": f"{address}#article",
        "url": address,
        "mainEntityOfPage": {"@type": "WebPage", "@id": address},
        "headline": typeset(story.headline),
        "description": typeset(story.dek),
        "inLanguage": settings.language,
        "datePublished": iso(story.first_published_at),
        "dateModified": iso(story.modified_at),
        "version": story.n,
        "genre": story.story_type.value.capitalize(),
        "keywords": [name for _, name in story.tags],
        "wordCount": story.words,
        "timeRequired": f"PT{story.minutes}M",
        "isAccessibleForFree": True,
        "author": [{"@type": "Person", "name": story.byline}],
        "publisher": {
            "@type": "NewsMediaOrganization",
            "@id": f"{links.home()}#org",
            "name": settings.site_name,
            "alternateName": settings.site_short_name,
            "url": links.home(),
        },
        "isBasedOn": [_source(s) for s in story.sources if s["kind"] not in OUR_OWN],
        "correction": [_correction(note, address) for note in notes if note.kind in CORRECTIVE],
        "backstory": {
            "@type": "CreativeWork",
            "@id": f"{address}#transparency",
            "name": "Disclosures & Transparency Block",
            "text": typeset(" ".join(sentence["text"] for sentence in story.block)),
        },
    }


def _correction(note: Note, address: str) -> dict[str, Any]:
    return {
        "@type": "CorrectionComment",
        "@id": f"{address}#note-{note.id}",
        "text": typeset(note.text),
        "datePublished": iso(note.at),
    }


def _source(source: dict[str, Any]) -> dict[str, Any]:
    work: dict[str, Any] = {"@type": "CreativeWork", "name": source["title"] or source["publisher"]}
    if source["url"]:
        work["url"] = source["url"]
    if source["publisher"]:
        work["publisher"] = {"@type": "Organization", "name": source["publisher"]}
    return work
