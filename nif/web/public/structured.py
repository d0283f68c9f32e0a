"""A story for machines: schema.org's NewsArticle as JSON-LD.

It follows schema.org 30 and Google's rules for articles.

The transparency block travels as `backstory`, the property for why and how a story was made; the
record behind it is linked with its hash. Relationships have no term of their own there.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from nif.links import Links
from nif.settings import Settings
from nif.stories.disclosing import OUR_OWN
from nif.stories.history import CORRECTIVE
from nif.stories.models import Revision, StoryType
from nif.stories.notes import Note
from nif.typography import typeset
from nif.web.filters import iso
from nif.web.public.illustrating import images
from nif.web.public.policy_texts import POLICIES
from nif.web.public.records import as_json

PRECISE_TYPE = {
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
    story: Revision, links: Links, settings: Settings, notes: Sequence[Note] = ()
) -> dict[str, Any]:
    """The JSON-LD of a story with its notes; what the page does not show is not in it."""
    address = links.story(story.slug)
    pictures = images(story, links)
    return {
        "@context": "https://schema.org",
        "@type": _types(story),
        "@id": f"{address}#article",
        "url": address,
        "mainEntityOfPage": {"@type": "WebPage", "@id": address},
        "headline": typeset(story.headline),
        **({"description": typeset(story.dek)} if story.standing.stands else {}),
        "inLanguage": settings.language,
        "datePublished": iso(story.first_published_at),
        "dateModified": iso(story.modified_at),
        "version": story.n,
        "genre": story.story_type.value.capitalize(),
        "keywords": [name for _, name in story.tags],
        "wordCount": story.words,
        "timeRequired": f"PT{story.minutes}M",
        "isAccessibleForFree": True,
        **({"image": pictures} if pictures else {}),
        "author": [{"@type": "Person", "name": story.byline}],
        "publisher": _publisher(links, settings),
        "publishingPrinciples": links.policy("manifesto"),
        "usageInfo": links.policy("ai-and-reuse"),
        "isBasedOn": [_source(s) for s in story.sources if s["kind"] not in OUR_OWN],
        "correction": [_correction(note, address) for note in notes if note.kind in CORRECTIVE],
        "backstory": _backstory(story, links),
    }


def _types(story: Revision) -> str | list[str]:
    """Google knows NewsArticle, others the precise type. Only what we found out is reportage."""
    precise = PRECISE_TYPE.get(story.story_type)
    if precise == "ReportageNewsArticle" and not any(s["kind"] in OUR_OWN for s in story.sources):
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
            "contentUrl": links.record(story.slug),
            "sha256": sha256(as_json(story, links).encode()).hexdigest(),
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
