"""Checks of the text and the pictures of a story."""

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
"""Words with which a headline attributes a claim to somebody."""


def check_completeness(context: CheckContext) -> Iterator[CheckFinding]:
    """G01: headline, lead and sections are complete."""
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
    """G02: a byline, with names that readers can look up."""
    if not context.story.byline.strip():
        text = "A story needs a byline: readers see who wrote it."
        yield CheckFinding("G02", "byline", text)
    for name in context.names_without_profile:
        text = f"There is no public profile of {name}, so readers cannot look the name up."
        yield CheckFinding("G02", "byline", text, FindingLevel.WARN)


def check_placeholders(context: CheckContext) -> Iterator[CheckFinding]:
    """G33: no placeholder, such as TK, is left in the text."""
    for field, text in text_lines_of(context.story):
        if match := PLACEHOLDERS.search(text):
            sentence = f"“{match[0]}” is still in the text: replace the placeholder."
            yield CheckFinding("G33", field, sentence)


def check_headline_claim(context: CheckContext) -> Iterator[CheckFinding]:
    """G12: the headline does not state as fact what the text only alleges."""
    body = " ".join(text for field, text in text_lines_of(context.story) if field != "headline")
    if HEDGES.search(body) and not ATTRIBUTIONS.search(context.story.headline):
        text = "The text only alleges this, but the headline states it as fact. Is that intended?"
        yield CheckFinding("G12", "headline", text, FindingLevel.WARN)


def check_embargo(context: CheckContext) -> Iterator[CheckFinding]:
    """G29: the story is not published before its embargo ends."""
    story = context.story
    moment = story.publish_at or context.now
    if story.embargo_until and moment and moment < story.embargo_until:
        text = "This story is under embargo: publish it after the embargo has ended."
        yield CheckFinding("G29", "embargo_until", text)


def check_pictures(context: CheckContext) -> Iterator[CheckFinding]:
    """G24: every picture has alt text or is decorative, a credit, files, and a label for AI."""
    for field, picture_id in chosen_pictures_of(context.story):
        if (picture := context.pictures.get(picture_id)) is not None:
            yield from _picture_findings(field, picture)


def _picture_findings(field: str, picture: Picture) -> Iterator[CheckFinding]:
    name = "The lead picture" if field == "picture_id" else _section_picture_name(field)
    if not (picture.alt.strip() or picture.is_decorative):
        text = f"{name} has no alt text: describe it in the library, or mark it as decorative."
        yield CheckFinding("G24", field, text)
    if not picture.credit.strip():
        text = f"{name} has no credit: add one in the library."
        yield CheckFinding("G24", field, text)
    if is_ai_use_undeclared(picture, picture.declared_source_type):
        text = f"{name} has a file that declares the use of AI: declare it in the library too."
        yield CheckFinding("G24", field, text)
    if picture.is_preparing:
        text = f"{name} is still being prepared. That takes a few seconds."
        yield CheckFinding("G24", field, text)
    if not (picture.licence.strip() or picture.licence_url):
        text = f"{name} has no licence. May we show it?"
        yield CheckFinding("G24", field, text, FindingLevel.WARN)


def _section_picture_name(field: str) -> str:
    return f"The picture of section {int(field.split('-')[1]) + 1}"
