"""Content in which every text that an outsider or an editor can fill holds the same payload."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.accounts import accounts
from nif.accounts.audit_log import record_audit_entry
from nif.accounts.models import Account, RoleName
from nif.clock import utc_now
from nif.errors import Invalid
from nif.register.models import OurSide, Party, RelationshipType, RelationshipVisibility
from nif.register.parties import PartyInput, add_party
from nif.register.relationship_types import PublisherNames
from nif.register.relationships import RegisterContext, RelationshipInput, add_relationship
from nif.slugs import slugify
from nif.stories import publishing, reader_reports
from nif.stories.corrections import NoteInput, StoryChange, StoryNote, revise_story
from nif.stories.drafts import SourceInput, StoryInput, get_story, save_draft
from nif.stories.models import (
    ChangeKind,
    CheckOverride,
    NoteSeverity,
    Revision,
    SourceKind,
    Story,
    text_fingerprint_of,
)
from nif.stories.publishing import freeze_revision, invalidate_pages
from nif.stories.reader_reports import ReportKind, ReportVerdict
from nif.stories.transparency_block import (
    AnswerInput,
    DeclarationQuestion,
    RelationshipDeclaration,
    StoryAiUse,
    StoryFunding,
    StoryOrigin,
)
from tests.factories import a_draft, a_list, a_story, an_account
from tests.media.pictures import an_unprepared_picture

MINUTE = timedelta(minutes=1)
CONTENT = (
    *("headline", "dek", "lead", "sections", "byline", "block", "sources", "answers", "tags"),
)
SAFE = "https://example.com/?a='\"<b>&amp;{{x}}"


def create_content(session: Session, text: str, parts: Sequence[str], *, number: int) -> Story:
    """A published story with a note, a draft, and everything around them, filled with `text`.

    `parts` are the single payloads of `text`, for fields that hold one each. Rows are filled beyond
    the forms' length limits, because output must be safe whatever the database holds.
    """
    now = utc_now() - 5 * MINUTE
    ed = an_account(session, RoleName.ADMIN, email=f"ed{number}@example.com")
    story = _published(session, text, parts, ed, number)
    _draft(session, text, ed)
    _profile(session, ed, text, number)
    _register(session, text, number, ed)
    _reports(session, story, text, ed)
    made = an_unprepared_picture(session, alt="x", credit="x", caption="x")
    made.alt = made.credit = made.caption = made.licence = text
    founded = a_list(session, slug=f"list-{number}", title="x", created_at=now)
    founded.title = founded.description = founded.sender_name = text
    detail = {"name": text, "title": [text, text]}
    record_audit_entry(session, ed, "list_created", "list", founded.slug, detail=detail, now=now)
    invalidate_pages(session)
    return story


def _answers(text: str, checked: str) -> dict[DeclarationQuestion, AnswerInput]:
    details = {"tasks": text, "tools": text, "checked": checked}
    return {
        DeclarationQuestion.ORIGIN: AnswerInput(StoryOrigin.PITCHED, {"by": text}),
        DeclarationQuestion.RELATIONSHIPS: AnswerInput(
            RelationshipDeclaration.DECLARED, {"sentences": [text]}
        ),
        DeclarationQuestion.MONEY: AnswerInput(StoryFunding.GRANT, {"by": text, "say": text}),
        DeclarationQuestion.AI: AnswerInput(StoryAiUse.ASSISTED, details),
    }


def _copy(text: str, parts: Sequence[str]) -> dict[str, Any]:
    sources = [
        SourceInput(kind, text, text, SAFE, text)
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
    checked = text_fingerprint_of(Story(headline=text, dek=text, lead=text, sections=body))
    return {**words, "answers": _answers(text, checked)}


def _published(
    session: Session, text: str, parts: Sequence[str], ed: Account, number: int
) -> Story:
    now = utc_now()
    first = a_story(session, at=now - 4 * MINUTE, headline=f"Said {number}", reason_subject="x")
    story = get_story(session, first.story_id)
    story.reason_subject = "y"
    wrong = NoteInput(incorrect_text="x", corrected_text="x", severity=NoteSeverity.SIGNIFICANT)
    change = StoryChange(ChangeKind.CORRECTION, "x", wrong)
    second = revise_story(session, story, change, by=ed, now=now - 3 * MINUTE)
    copy = StoryInput(**_copy(text, parts))
    save_draft(session, story, copy, edits=story.edits, by_id=ed.id, now=now - 2 * MINUTE)
    frozen = freeze_revision(session, story, by=ed.id, now=now, before=second)
    for revision in (first, second):
        for name in CONTENT:
            setattr(revision, name, getattr(frozen, name))
        revision.slug = story.slug
        revision.summary = revision.confirmed_by = text
    first.lead += " It was so."
    for made in session.scalars(select(StoryNote).where(StoryNote.story_id == story.id)):
        made.text, made.incorrect_text, made.corrected_text, made.cause = (
            f"{made.heading}: {text}",
            text,
            text,
            text,
        )
    session.flush()
    return story


def _draft(session: Session, text: str, ed: Account) -> None:
    now = utc_now() - 2 * MINUTE
    story = a_draft(session, headline=text, lead=text, byline=text, sections=[(text, [])])
    publishing.request_review(session, story, by=ed, now=now)
    publishing.send_back_story(session, story, text, by=ed, now=now)
    given = {"code": "G11", "reason": text, "by_id": ed.id, "by": text, "at": now}
    session.add(CheckOverride(story_id=story.id, **given))
    session.flush()


def _profile(session: Session, ed: Account, text: str, number: int) -> None:
    texts = dict.fromkeys(accounts.MAX_PROFILE_LENGTHS, "x")
    copy = accounts.ProfileInput(f"Ed {number}", is_public=True, **texts)
    profile = accounts.save_profile(session, ed, copy)
    for name in texts:
        setattr(profile, name, text)
    ed.name = text
    session.flush()


def _register(session: Session, text: str, number: int, ed: Account) -> None:
    party: Party = add_party(session, PartyInput(f"Party {number}", aliases=["x"]), now=utc_now())
    context = RegisterContext(PublisherNames("NIF", "The ROSTR Group"), ed.id, utc_now())
    for relationship_type in (RelationshipType.COMPETITOR, RelationshipType.ADVERTISER):
        copy = RelationshipInput(
            our_side=OurSide.PRODUCT
            if relationship_type is RelationshipType.COMPETITOR
            else OurSide.NIF,
            type=relationship_type,
            our_side_name="x",
            since=date(2020, 1, 1),
            visibility=RelationshipVisibility.PUBLIC,
            evidence_url=SAFE,
        )
        made = add_relationship(session, party, copy, context)
        made.current_sentence = made.past_sentence = made.custom_sentence = text
        made.our_side_name = made.detail = text
    party.name = party.aliases[0].name = text
    session.flush()


def _reports(session: Session, story: Story, text: str, ed: Account) -> None:
    revision = session.get_one(Revision, story.current_id)
    now, address = utc_now(), "ann@example.com"
    given = {"contact": None, "now": now}
    answered = reader_reports.create_reader_report(
        session, revision, ReportKind.ERROR, text, **given
    )
    reader_reports.create_reader_report(
        session, revision, ReportKind.ERROR, text, contact=address, now=now
    )
    verdict = ReportVerdict.NOT_UPHELD
    try:
        reader_reports.answer_reader_report(session, answered.id, verdict, text, by=ed, now=now)
    except Invalid as error:  # pragma: no cover
        raise AssertionError(text) from error
