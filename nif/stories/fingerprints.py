"""The lines of a story's text, and a short fingerprint that changes with any of them."""

import hashlib
from collections.abc import Iterator

from nif.stories.models import Story


def lines_of(story: Story) -> Iterator[tuple[str, str]]:
    """Every line that readers will read, with the field in which it stands."""
    yield "headline", story.headline
    yield "dek", story.dek or ""
    yield "lead", story.lead
    for n, section in enumerate(story.sections):
        yield f"sections-{n}-label", section["label"]
        for bullet in section["bullets"]:
            yield f"sections-{n}-bullets", bullet


def fingerprint(story: Story) -> str:
    """Sixteen hexadecimal digits that stand for the text as it is now."""
    text = "\x00".join(text for _, text in lines_of(story))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
