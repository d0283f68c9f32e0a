"""The transparency report counts the newsroom's records."""

from datetime import timedelta
from typing import Any

from nif.accounts.models import RoleName
from nif.ledger.queries import find_chain_end
from nif.register.models import RelationshipType, RelationshipVisibility
from nif.stories.corrections import NoteInput, StoryChange, revise_story
from nif.stories.drafts import get_story
from nif.stories.models import ChangeKind, CheckOverride, NoteSeverity, text_fingerprint_of
from nif.stories.reader_reports import (
    ReportKind,
    ReportVerdict,
    answer_reader_report,
    create_reader_report,
)
from nif.stories.transparency_block import (
    AnswerInput,
    DeclarationQuestion,
    RelationshipDeclaration,
    StoryAiUse,
    StoryOrigin,
)
from nif.stories.transparency_report import build_transparency_report
from tests.conftest import NOON
from tests.factories import NOTHING_TO_DECLARE, a_draft, a_story, an_account
from tests.register.entries import a_party, a_relationship

TODAY = NOON.date()


def answers(**given: AnswerInput) -> dict[str, Any]:
    asked = {DeclarationQuestion(name): one for name, one in given.items()}
    return {"answers": {**NOTHING_TO_DECLARE, **asked}}


def test_an_empty_newsroom_has_an_empty_report(session) -> None:
    report = build_transparency_report(session, on=TODAY)

    assert (report.stories.total, report.stories.since, report.ledger_end) == (0, None, None)
    assert report.notes.median_stood is None
    assert report.reports.median_answer is None
    assert report.notes.by_severity == {"minor": 0, "significant": 0, "serious": 0}


def test_published_stories_are_counted_by_their_answers(session) -> None:
    told = AnswerInput(RelationshipDeclaration.DECLARED, {"sentences": ['We own "kind": "it".']})
    a_story(session)
    a_story(session, **answers(origin=AnswerInput(StoryOrigin.READER_TIP), relationships=told))
    a_story(session, reason_subject='"kind": "relationship"')
    a_draft(session, **answers(origin=AnswerInput(StoryOrigin.OWNER)))
    checked = text_fingerprint_of(a_draft(session, headline="By a machine"))
    used = AnswerInput(StoryAiUse.GENERATED, {"tools": "Scribe 2", "checked": checked})
    a_story(session, headline="By a machine", **answers(ai=used))

    found = build_transparency_report(session, on=TODAY).stories

    assert (found.total, found.since, found.with_relationship) == (4, NOON, 1)
    assert found.by_origin == {"monitoring": 3, "reader_tip": 1}
    assert found.by_ai == {"none": 3, "generated": 1}
    assert found.by_type == {"brief": 4}


def test_overridden_checks_are_counted_with_their_reasons(session) -> None:
    rows = [a_story(session), a_story(session)]
    hidden = a_draft(session)
    for story_id in (*(row.story_id for row in rows), hidden.id):
        made = CheckOverride(story_id=story_id, code="G11", reason="It is news.", by="Sam", at=NOON)
        session.add(made)
    session.flush()

    report = build_transparency_report(session, on=TODAY)

    assert report.by_check == {"G11": 2}
    assert [(one.code, one.reason, one.count) for one in report.overrides] == [
        ("G11", "It is news.", 2)
    ]


def test_corrections_and_reports_are_counted_with_their_median_times(session) -> None:
    editor = an_account(session, RoleName.STANDARDS)
    for n, hours in enumerate((1, 3, 50)):
        story = get_story(session, a_story(session, lead=f"Was {n}.").story_id)
        story.lead = f"Is {n}."
        note = NoteInput(
            incorrect_text=f"was {n}", corrected_text=f"It is {n}.", severity=NoteSeverity.MINOR
        )
        change = StoryChange(ChangeKind.CORRECTION, "Put right", note)
        revision = revise_story(
            session, story, change, by=editor, now=NOON + timedelta(hours=hours)
        )
    for minutes in (10, 20):
        made = create_reader_report(
            session, revision, ReportKind.ERROR, "No", contact=None, now=NOON
        )
        if minutes == 10:
            later = NOON + timedelta(minutes=minutes)
            answer_reader_report(
                session, made.id, ReportVerdict.UPHELD, "Yes", by=editor, now=later
            )

    report = build_transparency_report(session, on=TODAY)

    assert report.notes.by_severity == {"minor": 3, "significant": 0, "serious": 0}
    assert report.notes.median_stood == timedelta(hours=3)
    assert report.reports.by_verdict == {"open": 1, "upheld": 1}
    assert report.reports.median_answer == timedelta(minutes=10)
    assert report.ledger_end == find_chain_end(session)


def test_public_and_withheld_relationships_are_counted(session) -> None:
    party = a_party(session)
    a_relationship(session, party)
    a_relationship(
        session, party, RelationshipType.CUSTOMER, visibility=RelationshipVisibility.MATCH_ONLY
    )

    report = build_transparency_report(session, on=TODAY)

    assert (report.relationships_listed, report.relationships_withheld) == (1, 1)
