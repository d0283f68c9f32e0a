"""The Disclosures & Transparency Block: sentences generated from records, the same everywhere.

Sources come first, then why the story was covered. Nobody types these sentences: an editor gives
the records, and page, mail, text and JSON-LD print what follows from them.
"""

from collections.abc import Sequence

from nif.stories.models import ReasonCode, Sentence, Source, SourceKind, Story

CLAUSES = {
    ReasonCode.TOPIC_NEWS: "it's news regarding {subject}",
    ReasonCode.PUBLIC_INTEREST: "it affects {subject}",
    ReasonCode.EXCLUSIVE: "we found it out ourselves and nobody else had reported it",
    ReasonCode.FOLLOWUP: "it follows our earlier story about {subject}",
    ReasonCode.READER_REQUEST: "readers asked us about {subject}",
    ReasonCode.DATA_RELEASE: "there are new figures on {subject}",
    ReasonCode.UNDERREPORTED: "it matters to {subject} and few others have covered it",
    ReasonCode.ACCOUNTABILITY: "{subject} said one thing and appears to have done another",
    ReasonCode.CALENDAR: "{subject}",
    ReasonCode.OWN_GROUP: "it concerns our own company",
}
"""What follows "We covered it because": {subject} is what the editor names."""

OUR_OWN = frozenset({SourceKind.OWN_REPORTING, SourceKind.INTERVIEW})
"""What NIF found out itself: an interview is asked by us, whoever answers."""

WITHOUT_SUBJECT = frozenset({ReasonCode.EXCLUSIVE, ReasonCode.OWN_GROUP})


def block(story: Story) -> list[Sentence]:
    """The sentences of a story's block, in their fixed order."""
    named = [source for source in story.sources if source.kind in OUR_OWN or _named(source)]
    sentences = [_sources_sentence(named)] if named else []
    if story.reason_code in WITHOUT_SUBJECT or (story.reason_code and story.reason_subject.strip()):
        sentences.append(Sentence("reason", f"We covered it because {reason_clause(story)}."))
    return sentences


def reason_clause(story: Story) -> str:
    """The clause of the reason, without a full stop; empty where no reason was given."""
    if story.reason_code is None:
        return ""
    return CLAUSES[story.reason_code].format(subject=story.reason_subject.strip().rstrip("."))


def _sources_sentence(sources: Sequence[Source]) -> Sentence:
    outside = [source for source in sources if source.kind not in OUR_OWN]
    names = list(dict.fromkeys(_named(source) for source in outside))
    links = tuple(dict.fromkeys((_named(source), source.url) for source in outside if source.url))
    if not outside:
        return Sentence("sources", "This story is based on our own reporting.")
    if len(outside) < len(sources):
        text = f"This story combines our own reporting with information from {_listed(names)}."
    elif all(source.kind is SourceKind.PRESS_RELEASE for source in outside):
        text = f"This story is based on a press release from {_listed(names)}."
    else:
        text = f"This story was written with information from {_listed(names)}."
    return Sentence("sources", text, links)


def _named(source: Source) -> str:
    return source.publisher or source.title


def _listed(names: Sequence[str]) -> str:
    """A, B, and C: with the comma before "and" where there are three or more."""
    if len(names) < 3:
        return " and ".join(names)
    return f"{', '.join(names[:-1])}, and {names[-1]}"
