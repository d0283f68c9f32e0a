"""Gates for the text: whole, finished, and headlined no louder than it is.

The gate for pictures: what each shows, whose it is, and whether AI made it, is told.
"""

import re
from collections.abc import Iterator

from nif.media.library import is_ai_use_undeclared
from nif.media.models import Picture
from nif.stories.checks.findings import CheckContext, CheckFinding, FindingLevel
from nif.stories.models import text_lines_of
from nif.stories.pictures import chosen_pictures_of

LONGEST_HEADLINE = 110
PLACEHOLDERS = re.compile(r"\b(?:TK|TKTK|TKs|XXX+|lorem ipsum)\b")
HEDGES = re.compile(r"\b(?:alleg\w+|accus\w+|reportedly|purported\w*)\b", re.IGNORECASE)

ATTRIBUTIONS = re.compile(rf"{HEDGES.pattern}|\b(?:sue[sd]?|faces?|claims?|says?)\b", re.IGNORECASE)
"""How a headline may say that it is somebody's word."""


def check_completeness(context: CheckContext) -> Iterator[CheckFinding]:
    """G01: a headline, a lead, and sections that say something."""
    story = context.story
    if not story.headline.strip():
        yield CheckFinding("G01", "headline", "A story needs a headline.")
    elif len(story.headline) > LONGEST_HEADLINE:
        text = f"A headline has at most {LONGEST_HEADLINE} characters."
        yield CheckFinding("G01", "headline", text)
    if not story.lead.strip():
        text = "A story needs a lead: the paragraph that says what happened."
        yield CheckFinding("G01", "lead", text)
    empty = [section["label"] for section in story.sections if not section["bullets"]]
    if len(empty) == len(story.sections):
        yield CheckFinding("G01", "sections", "A story needs at least one section with a bullet.")
    elif empty:
        yield CheckFinding("G01", "sections", f"The section “{empty[0]}” has no bullet yet.")


def check_byline(context: CheckContext) -> Iterator[CheckFinding]:
    """G02: readers are told who wrote it."""
    if not context.story.byline.strip():
        text = "Readers are told who wrote a story: give a byline."
        yield CheckFinding("G02", "byline", text)
    for name in context.names_without_profile:
        text = f"Readers cannot look up {name}: there is no public profile of that name."
        yield CheckFinding("G02", "byline", text, FindingLevel.WARN)


def check_placeholders(context: CheckContext) -> Iterator[CheckFinding]:
    """G33: no mark that says "to come" is left."""
    for field, text in text_lines_of(context.story):
        if found := PLACEHOLDERS.search(text):
            sentence = f"“{found[0]}” is still in the text: something was to come there."
            yield CheckFinding("G33", field, sentence)


def check_headline_claim(context: CheckContext) -> Iterator[CheckFinding]:
    """G12: what the text only alleges, the headline must not state."""
    body = " ".join(text for field, text in text_lines_of(context.story) if field != "headline")
    if HEDGES.search(body) and not ATTRIBUTIONS.search(context.story.headline):
        text = "The text says that this is alleged; the headline states it. Is that meant?"
        yield CheckFinding("G12", "headline", text, FindingLevel.WARN)


def check_embargo(context: CheckContext) -> Iterator[CheckFinding]:
    """G29: not before its embargo."""
    story = context.story
    moment = story.publish_at or context.now
    if story.embargo_until and moment and moment < story.embargo_until:
        text = "This story is under embargo: publish it when that has passed."
        yield CheckFinding("G29", "embargo_until", text)


def check_pictures(context: CheckContext) -> Iterator[CheckFinding]:
    """G24: alt text or decorative, a credit, its files, and its label where AI had a part in it."""
    for field, picture_id in chosen_pictures_of(context.story):
        if (picture := context.pictures.get(picture_id)) is not None:
            yield from _picture_findings(field, picture)


def _picture_findings(field: str, picture: Picture) -> Iterator[CheckFinding]:
    what = "The lead picture" if field == "picture_id" else _section_picture_name(field)
    if not (picture.alt.strip() or picture.is_decorative):
        text = f"{what} has no alt text: say in the library what it shows, or that it decorates."
        yield CheckFinding("G24", field, text)
    if not picture.credit.strip():
        text = f"{what} has no credit: say in the library whose it is."
        yield CheckFinding("G24", field, text)
    if is_ai_use_undeclared(picture, picture.source_told):
        text = f"{what} says of itself that AI had a part in it: say so in the library."
        yield CheckFinding("G24", field, text)
    if picture.is_preparing:
        text = f"{what} is still being prepared. That takes some seconds."
        yield CheckFinding("G24", field, text)
    if not (picture.licence.strip() or picture.licence_url):
        text = f"{what} names no licence. May we show it?"
        yield CheckFinding("G24", field, text, FindingLevel.WARN)


def _section_picture_name(field: str) -> str:
    return f"The picture of section {int(field.split('-')[1]) + 1}"
