"""The record behind a transparency block, as its revision froze it."""

import json
from typing import Any

from nif.links import Links
from nif.stories.models import Revision
from nif.typography import legible
from nif.web.filters import iso

VERSION = "1.0"


def record(story: Revision, links: Links) -> dict[str, Any]:
    """Sources, reason, answers and sentences; words are as stored, with straight apostrophes.

    It follows from the revision alone, so that its bytes can be hashed where it is linked.
    """
    return {
        "version": VERSION,
        "story": links.story(story.slug),
        "headline": story.headline,
        "story_type": story.story_type.value,
        "revision": story.n,
        "published_at": iso(story.published_at),
        "first_published_at": iso(story.first_published_at),
        "content_hash": story.content_hash,
        "sources": [dict(source) for source in story.sources],
        "answers": {question: _answer(one) for question, one in story.answers.items()},
        "reason": next((one["text"] for one in story.block if one["kind"] == "reason"), None),
        "sentences": [_sentence(sentence) for sentence in story.block],
    }


def as_json(story: Revision, links: Links) -> str:
    """The file that stands at the story's transparency.json."""
    return legible(json.dumps(record(story, links), ensure_ascii=False, indent=2)) + "\n"


def _answer(answer: dict[str, Any]) -> dict[str, Any]:
    """Who affirmed it is told by name; the number of their account is nobody's business."""
    return {name: value for name, value in answer.items() if name != "by_id"}


def _sentence(sentence: dict[str, Any]) -> dict[str, Any]:
    links = [{"text": words, "url": address} for words, address in sentence["links"]]
    return {"kind": sentence["kind"], "text": sentence["text"], "links": links}
