"""A house in which every text that an outsider or an editor can fill holds the same words."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.accounts import profiling
from nif.accounts.auditing import note
from nif.accounts.models import Account, RoleName
from nif.clock import utc_now
from nif.errors import Invalid
from nif.register.keeping import PartyCopy, add_party
from nif.register.models import Nature, Ours, Party, Visibility
from nif.register.relating import Pen, RelationshipCopy, relate
from nif.register.wording import House
from nif.stories import reporting, reviewing
from nif.stories.answers import AiUse, Given, Money, Origin, Question, Relations
from nif.stories.drafting import SourceCopy, StoryCopy, get_story, redraft
from nif.stories.fingerprints import fingerprint
from nif.stories.kinds import ChangeKind, Severity
from nif.stories.models import Override, Revision, SourceKind, Story
from nif.stories.notes import Note
from nif.stories.publishing import freeze, restock
from nif.stories.reporting import ReportKind, ReportVerdict
from nif.stories.revising import Change, NoteCopy, revise
from nif.stories.slugs import slugify
from tests.factories import a_draft, a_list, a_story, an_account
from tests.media.pictures import kept

MINUTE = timedelta(minutes=1)
CONTENT = (
    *("headline", "dek", "lead", "sections", "byline", "block", "sources", "answers", "tags"),
)
SAFE = "https://example.com/?a='\"<b>&amp;{{x}}"


def furnish(session: Session, text: str, parts: Sequence[str], *, number: int) -> Story:
    """A published story with a note, a draft, and all that is around them, told in `text`.

    `parts` are the payloads of `text`, for what holds one of them each. Limits of length are those
    of the forms: rows are filled past them, for what comes out of the database is no safer.
    """
    now = utc_now() - 5 * MINUTE
    ed = an_account(session, RoleName.ADMIN, email=f"ed{number}@example.com")
    story = _published(session, text, parts, ed, number)
    _draft(session, text, ed)
    _profile(session, ed, text, number)
    _register(session, text, number, ed)
    _reports(session, story, text, ed)
    made = kept(session, alt="x", credit="x", caption="x")
    made.alt = made.credit = made.caption = made.licence = text
    founded = a_list(session, slug=f"list-{number}", title="x", created_at=now)
    founded.title = founded.description = founded.sender_name = text
    detail = {"name": text, "title": [text, text]}
    note(session, ed, "list_created", kind="list", subject=founded.slug, detail=detail, now=now)
    restock(session)
    return story


def _answers(text: str, checked: str) -> dict[Question, Given]:
    said = {"tasks": text, "tools": text, "checked": checked}
    return {
        Question.ORIGIN: Given(Origin.PITCHED, {"by": text}),
        Question.RELATIONSHIPS: Given(Relations.DECLARED, {"sentences": [text]}),
        Question.MONEY: Given(Money.GRANT, {"by": text, "say": text}),
        Question.AI: Given(AiUse.ASSISTED, said),
    }


def _copy(text: str, parts: Sequence[str]) -> dict[str, Any]:
    sources = [
        SourceCopy(kind, text, text, SAFE, text)
        for kind in (SourceKind.PUBLICATION, SourceKind.COURT_FILING)
    ]
    sections = [(text, [text, *(" ".join(part.split()) for part in parts if part.split())])]
    words: dict[str, Any] = {
        "headline": text,
        "dek": text,
        "lead": text,
        "byline": text,
        "sections": sections,
        "sources": sources,
        "reason_subject": text,
        "tags": [part for part in parts if slugify(part) != "untitled"][:200],
    }
    body = [{"label": label, "bullets": bullets} for label, bullets in sections]
    checked = fingerprint(Story(headline=text, dek=text, lead=text, sections=body))
    return {**words, "answers": _answers(text, checked)}


def _published(
    session: Session, text: str, parts: Sequence[str], ed: Account, number: int
) -> Story:
    now = utc_now()
    first = a_story(session, at=now - 4 * MINUTE, headline=f"Said {number}", reason_subject="x")
    story = get_story(session, first.story_id)
    story.reason_subject = "y"
    wrong = NoteCopy(was="x", now_="x", severity=Severity.SIGNIFICANT)
    change = Change(ChangeKind.CORRECTION, "x", wrong)
    second = revise(session, story, change, by=ed, now=now - 3 * MINUTE)
    copy = StoryCopy(**_copy(text, parts))
    redraft(session, story, copy, edits=story.edits, by_id=ed.id, now=now - 2 * MINUTE)
    frozen = freeze(session, story, by=ed.id, now=now, before=second)
    for revision in (first, second):
        for name in CONTENT:
            setattr(revision, name, getattr(frozen, name))
        revision.slug = story.slug
        revision.summary = revision.confirmed_by = text
    first.lead += " It was so."
    for made in session.scalars(select(Note).where(Note.story_id == story.id)):
        made.text, made.was, made.now_, made.cause = f"{made.heading}: {text}", text, text, text
    session.flush()
    return story


def _draft(session: Session, text: str, ed: Account) -> None:
    now = utc_now() - 2 * MINUTE
    story = a_draft(session, headline=text, lead=text, byline=text, sections=[(text, [])])
    reviewing.ask_for_review(session, story, by=ed, now=now)
    reviewing.send_back(session, story, text, by=ed, now=now)
    given = {"code": "G11", "reason": text, "by_id": ed.id, "by": text, "at": now}
    session.add(Override(story_id=story.id, **given))
    session.flush()


def _profile(session: Session, ed: Account, text: str, number: int) -> None:
    texts = dict.fromkeys(profiling.LONGEST, "x")
    copy = profiling.ProfileCopy("x", is_public=True, **texts)
    profile = profiling.write(session, ed, copy, wanted=f"ed-{number}")
    for name in texts:
        setattr(profile, name, text)
    ed.name = text
    session.flush()


def _register(session: Session, text: str, number: int, ed: Account) -> None:
    party: Party = add_party(session, PartyCopy(f"Party {number}", aliases=["x"]), now=utc_now())
    pen = Pen(House("NIF", "The ROSTR Group"), ed.id, utc_now())
    for nature in (Nature.COMPETITOR, Nature.ADVERTISER):
        copy = RelationshipCopy(
            ours=Ours.PRODUCT if nature is Nature.COMPETITOR else Ours.NIF,
            nature=nature,
            ours_label="x",
            since=date(2020, 1, 1),
            visibility=Visibility.PUBLIC,
            evidence_url=SAFE,
        )
        made = relate(session, party, copy, pen)
        made.sentence = made.afterwards = made.wording = text
        made.ours_label = made.detail = text
    party.name = party.aliases[0].name = text
    session.flush()


def _reports(session: Session, story: Story, text: str, ed: Account) -> None:
    revision = session.get_one(Revision, story.current_id)
    now, address = utc_now(), "ann@example.com"
    given = {"contact": None, "now": now}
    answered = reporting.report(session, revision, ReportKind.ERROR, text, **given)
    reporting.report(session, revision, ReportKind.ERROR, text, contact=address, now=now)
    verdict = ReportVerdict.NOT_UPHELD
    try:
        reporting.answer(session, answered.id, verdict, text, by=ed, now=now)
    except Invalid as error:  # pragma: no cover
        raise AssertionError(text) from error
