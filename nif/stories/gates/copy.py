"""Gates for the text: whole, finished, and headlined no louder than it is."""

import re
from collections.abc import Iterator

from nif.stories.fingerprints import lines_of
from nif.stories.gates.finding import Case, Finding, Weight

LONGEST_HEADLINE = 110
UNFINISHED = re.compile(r"\b(?:TK|TKTK|TKs|XXX+|lorem ipsum)\b")
HEDGES = re.compile(r"\b(?:alleg\w+|accus\w+|reportedly|purported\w*)\b", re.IGNORECASE)

SAID = re.compile(rf"{HEDGES.pattern}|\b(?:sue[sd]?|faces?|claims?|says?)\b", re.IGNORECASE)
"""How a headline may say that it is somebody's word."""


def whole(case: Case) -> Iterator[Finding]:
    """G01: a headline, a lead, and sections that say something."""
    story = case.story
    if not story.headline.strip():
        yield Finding("G01", "headline", "A story needs a headline.")
    elif len(story.headline) > LONGEST_HEADLINE:
        text = f"A headline has at most {LONGEST_HEADLINE} characters."
        yield Finding("G01", "headline", text)
    if not story.lead.strip():
        text = "A story needs a lead: the paragraph that says what happened."
        yield Finding("G01", "lead", text)
    empty = [section["label"] for section in story.sections if not section["bullets"]]
    if len(empty) == len(story.sections):
        yield Finding("G01", "sections", "A story needs at least one section with a bullet.")
    elif empty:
        yield Finding("G01", "sections", f"The section “{empty[0]}” has no bullet yet.")


def signed(case: Case) -> Iterator[Finding]:
    """G02: readers are told who wrote it."""
    if not case.story.byline.strip():
        text = "Readers are told who wrote a story: give a byline."
        yield Finding("G02", "byline", text)
    for name in case.strangers:
        text = f"Readers cannot look up {name}: there is no public profile of that name."
        yield Finding("G02", "byline", text, Weight.WARN)


def finished(case: Case) -> Iterator[Finding]:
    """G33: no mark that says "to come" is left."""
    for field, text in lines_of(case.story):
        if found := UNFINISHED.search(text):
            sentence = f"“{found[0]}” is still in the text: something was to come there."
            yield Finding("G33", field, sentence)


def not_too_loud(case: Case) -> Iterator[Finding]:
    """G12: what the text only alleges, the headline must not state."""
    body = " ".join(text for field, text in lines_of(case.story) if field != "headline")
    if HEDGES.search(body) and not SAID.search(case.story.headline):
        text = "The text says that this is alleged; the headline states it. Is that meant?"
        yield Finding("G12", "headline", text, Weight.WARN)


def in_time(case: Case) -> Iterator[Finding]:
    """G29: not before its embargo."""
    story = case.story
    moment = story.publish_at or case.now
    if story.embargo_until and moment and moment < story.embargo_until:
        text = "This story is under embargo: publish it when that has passed."
        yield Finding("G29", "embargo_until", text)
