"""The Disclosures & Transparency Block: sentences generated from records, the same everywhere.

Sources come first, then why the story was covered. Nobody types these sentences: an editor gives
the records, and page, mail, text and JSON-LD print what follows from them.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from nif.media.models import Picture
from nif.stories.declaring import declared, listed, of_pictures, what_there_is_not
from nif.stories.kinds import Checked
from nif.stories.models import BlockStyle, ReasonCode, Source, SourceKind, Story
from nif.stories.sentences import Sentence

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

CHECKED = {
    Checked.YES: "We checked it independently.",
    Checked.PARTLY: "We checked part of it.",
    Checked.NO: "We have not checked it independently.",
}

COUNTED = ("None", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")

WITHOUT_SUBJECT = frozenset({ReasonCode.EXCLUSIVE, ReasonCode.OWN_GROUP})


def block(
    story: Story,
    *,
    same_person: bool = False,
    on_record: Sequence[str] = (),
    pictures: Collection[Picture] = (),
) -> list[Sentence]:
    """The sentences of a story's block, in their fixed order.

    What is declared is said in either style; `FULL` adds what was taken on trust, and what there
    is not. `same_person` is whether its author publishes it, `on_record` what the register tells,
    `pictures` are those that it shows.
    """
    return list(_sentences(story, same_person, on_record, pictures))


def _sentences(
    story: Story, same_person: bool, on_record: Sequence[str], pictures: Collection[Picture]
) -> Iterator[Sentence]:
    is_full = story.block_style is BlockStyle.FULL
    named = [source for source in story.sources if _is_named(source)]
    if named:
        yield _sources_sentence(named)
    if is_full:
        yield from _taken_on_trust(story.sources)
    yield from _unnamed(story.sources)
    if story.reason_code in WITHOUT_SUBJECT or (story.reason_code and story.reason_subject.strip()):
        yield Sentence("reason", f"We covered it because {reason_clause(story)}.")
    yield from declared(story.answers or {}, on_record)
    made_by_ai = list(of_pictures(pictures))
    yield from made_by_ai
    if same_person:
        yield Sentence("desk", "The same person wrote and edited this story.")
    if is_full:
        yield from what_there_is_not(story.answers or {}, on_record, shows_ai=bool(made_by_ai))


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
        text = f"This story combines our own reporting with information from {listed(names)}."
    elif all(source.kind is SourceKind.PRESS_RELEASE for source in outside):
        text = f"This story is based on a press release from {listed(names)}."
    else:
        text = f"This story was written with information from {listed(names)}."
    return Sentence("sources", f"{text}{_checked(outside)}", links)


def _checked(sources: Sequence[Source]) -> str:
    """How far press releases were checked, as long as that is one answer for all of them."""
    said = {source.checked for source in sources if source.kind is SourceKind.PRESS_RELEASE}
    known = said.pop() if len(said) == 1 else None
    return f" {CHECKED[known]}" if known else ""


def _taken_on_trust(sources: Sequence[Source]) -> Iterator[Sentence]:
    by_position = {source.position: source for source in sources}
    for source in sources:
        teller = by_position.get(source.relied_on or 0)
        if source.seen_by_us or teller is None:
            continue
        what = source.title or source.publisher
        text = f"We did not see {what} ourselves; we relied on {_named(teller)}'s account of it."
        yield Sentence("sources_via", text)


def _unnamed(sources: Sequence[Source]) -> Iterator[Sentence]:
    """Those who are not named, once for each reason."""
    reasons = Counter(
        source.unnamed_because.strip().rstrip(".") for source in sources if source.unnamed_because
    )
    for because, count in reasons.items():
        many = COUNTED[count] if count < len(COUNTED) else str(count)
        who = "they are" if count > 1 else "this is"
        text = f"{many} of our sources asked not to be named because {because}."
        yield Sentence("sources_unnamed", f"{text} An editor knows who {who}.")


def _is_named(source: Source) -> bool:
    """Is this one that the first sentence names? What others saw for us is told after it."""
    return source.kind in OUR_OWN or bool(source.seen_by_us and _named(source))


def _named(source: Source) -> str:
    return source.publisher or source.title
