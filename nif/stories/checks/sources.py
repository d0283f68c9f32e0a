"""Checks of the sources of a story, and of the claims that need one."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from nif.links import is_web_address
from nif.stories.checks.findings import CheckContext, CheckFinding, FindingLevel
from nif.stories.models import SourceKind, StorySource, StoryType
from nif.stories.text import split_source_references
from nif.stories.transparency_block import OWN_REPORTING_KINDS

QUOTATION = re.compile(r"[“”\"«»]")
NUMBER = re.compile(r"\d")
LONGEST_ANONYMITY_REASON = 160
ALLEGATION = re.compile(r"\b(?:alleg\w+|accus\w+|fraud\w*|sued|lawsuit)\b", re.IGNORECASE)


def check_source_names(context: CheckContext) -> Iterator[CheckFinding]:
    """G04: at least one source, each with a name and its exact address."""
    if not context.story.sources:
        text = "Name at least one source. Our own reporting counts as one."
        yield CheckFinding("G04", "sources", text)
    for n, source in _numbered_sources(context):
        if source.kind in OWN_REPORTING_KINDS:
            continue
        if not (source.publisher.strip() or source.title.strip()):
            text = f"Source {n} needs a name: who published it, or what it is."
            yield CheckFinding("G04", _source_field(n), text)
        elif source.seen_by_us and not is_web_address(source.url):
            text = f"Source {n} needs its exact address, beginning with https://."
            yield CheckFinding("G04", _source_field(n, "url"), text)
        elif is_web_address(source.url) and urlsplit(source.url).path in ("", "/"):
            text = f"Source {n} leads to a front page. Where exactly did you read it?"
            yield CheckFinding("G04", _source_field(n, "url"), text, FindingLevel.WARN)


def check_source_use(context: CheckContext) -> Iterator[CheckFinding]:
    """G05: each source says what the story uses of it."""
    for n, source in _numbered_sources(context):
        if source.kind not in OWN_REPORTING_KINDS and not source.taken.strip():
            text = f"Say what the story uses of source {n}: facts, quotes, figures."
            yield CheckFinding("G05", _source_field(n, "taken"), text, FindingLevel.WARN)


def check_claims(context: CheckContext) -> Iterator[CheckFinding]:
    """G06: a bullet with a quotation, a number or an accusation cites a source.

    A story with a single source needs no citations. In a story with own reporting, what cites no
    source counts as own reporting. A bullet may also name its source in its text.
    """
    sources = context.story.sources
    is_clear = len(sources) < 2 or any(source.kind in OWN_REPORTING_KINDS for source in sources)
    for s, section in enumerate(context.story.sections):
        for b, bullet in enumerate(section["bullets"], start=1):
            line, numbers = split_source_references(bullet)
            field, name = f"sections-{s}-bullets", f"Bullet {b} of “{section['label']}”"
            if unknown := [n for n in numbers if not 1 <= n <= len(sources)]:
                yield CheckFinding(
                    "G06", field, f"{name} cites source {unknown[0]}, which does not exist."
                )
            if numbers or is_clear or any(_is_named_in(line, source) for source in sources):
                continue
            if QUOTATION.search(line):
                text = f"{name} has a quotation: end it with the number of its source, such as [1]."
                yield CheckFinding("G06", field, text, FindingLevel.DECIDE)
            elif NUMBER.search(line) or ALLEGATION.search(line):
                text = (
                    f"{name} has a number or an accusation: end it with the number of its source, "
                )
                yield CheckFinding("G06", field, f"{text}such as [1].", FindingLevel.WARN)


def check_first_hand(context: CheckContext) -> Iterator[CheckFinding]:
    """G07: a source that we did not see ourselves names another one that did."""
    by_position = dict(_numbered_sources(context))
    for n, source in by_position.items():
        if source.seen_by_us:
            continue
        intermediary = by_position.get(source.relied_on or 0)
        if intermediary is None or intermediary is source:
            text = f"We did not see source {n} ourselves. Choose whose account of it we rely on."
            yield CheckFinding("G07", _source_field(n, "relied_on"), text)
        elif not intermediary.seen_by_us:
            text = f"Source {n} relies on source {source.relied_on}, which we did not see either."
            yield CheckFinding("G07", _source_field(n, "relied_on"), text)


def check_press_releases(context: CheckContext) -> Iterator[CheckFinding]:
    """G09: each press release says how far we verified it."""
    for n, source in _numbered_sources(context):
        if source.kind is SourceKind.PRESS_RELEASE and source.checked is None:
            text = f"Source {n} is a press release. Say how far we verified it."
            yield CheckFinding("G09", _source_field(n, "checked"), text)


def check_unnamed_sources(context: CheckContext) -> Iterator[CheckFinding]:
    """G08: an unnamed source has a reason and an editor who knows it, and is not the only one."""
    sources = context.story.sources
    for n, source in _numbered_sources(context):
        if not source.is_unnamed:
            continue
        if source.kind not in OWN_REPORTING_KINDS:
            text = f"Source {n} is not named, so it must be an interview: somebody who spoke to us."
            yield CheckFinding("G08", _source_field(n, "kind"), text)
        if not source.publisher.strip():
            text = f"Describe source {n} for readers: how does this person know?"
            yield CheckFinding("G08", _source_field(n), text)
        if len(source.unnamed_because) > LONGEST_ANONYMITY_REASON:
            text = f"Use at most {LONGEST_ANONYMITY_REASON} characters."
            yield CheckFinding("G08", _source_field(n, "unnamed_because"), text)
        elif not source.unnamed_because:
            text = f"Say why source {n} is not named: readers see the reason."
            yield CheckFinding("G08", _source_field(n, "unnamed_because"), text)
        yield from _confidant_findings(context, n, source)
    if sources and all(source.is_unnamed for source in sources):
        text = "All sources are unnamed: a standards editor decides whether that is enough."
        yield CheckFinding("G08", "sources", text, FindingLevel.DECIDE)


def _confidant_findings(
    context: CheckContext, n: int, source: StorySource
) -> Iterator[CheckFinding]:
    if not source.known_to:
        text = f"An editor who did not write the story must know who source {n} is."
        yield CheckFinding("G08", _source_field(n, "known_to"), text)
    elif context.confidants is not None and source.known_to not in context.confidants:
        text = f"{source.known_to} wrote this story or is not an editor: choose another editor."
        yield CheckFinding("G08", _source_field(n, "known_to"), text)


def check_story_type(context: CheckContext) -> Iterator[CheckFinding]:
    """G03: the type of the story matches whether it has own reporting."""
    has_own_reporting = any(source.kind in OWN_REPORTING_KINDS for source in context.story.sources)
    if context.story.story_type is StoryType.REPORT and not has_own_reporting:
        text = "A report needs our own reporting among its sources. Otherwise it is a brief."
        yield CheckFinding("G03", "story_type", text)
    elif context.story.story_type is StoryType.BRIEF and has_own_reporting:
        text = "A brief sums up what others reported, but this one has our own reporting."
        yield CheckFinding("G03", "story_type", text, FindingLevel.WARN)


def _numbered_sources(context: CheckContext) -> Iterator[tuple[int, StorySource]]:
    return enumerate(context.story.sources, start=1)


def _is_named_in(line: str, source: StorySource) -> bool:
    return bool(source.publisher) and source.publisher.casefold() in line.casefold()


def _source_field(n: int, field: str = "publisher") -> str:
    """The form field of the n-th source."""
    return f"sources-{n - 1}-{field}"
