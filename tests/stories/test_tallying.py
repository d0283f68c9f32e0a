"""The numbers of the public report are those of the records."""

from datetime import timedelta
from typing import Any

from nif.accounts.models import RoleName
from nif.ledger.reading import find_end
from nif.register.models import Nature, Visibility
from nif.stories.answers import AiUse, Given, Origin, Question, Relations
from nif.stories.drafting import get_story
from nif.stories.fingerprints import fingerprint
from nif.stories.kinds import ChangeKind, Severity
from nif.stories.models import Override
from nif.stories.reporting import ReportKind, ReportVerdict, answer, report
from nif.stories.revising import Change, NoteCopy, revise
from nif.stories.tallying import tally
from tests.conftest import NOON
from tests.factories import NOTHING_TO_DECLARE, a_draft, a_story, an_account
from tests.register.entries import a_party, a_relationship

TODAY = NOON.date()


def answers(**given: Given) -> dict[str, Any]:
    asked = {Question(name): one for name, one in given.items()}
    return {"answers": {**NOTHING_TO_DECLARE, **asked}}


def test_an_empty_newsroom_has_nothing_to_count(session) -> None:
    found = tally(session, on=TODAY)

    assert (found.stories.total, found.stories.since, found.end) == (0, None, None)
    assert found.notes.median_stood is None
    assert found.reports.median_answer is None
    assert found.notes.by_severity == {"minor": 0, "significant": 0, "serious": 0}


def test_published_stories_are_counted_by_what_was_answered(session) -> None:
    told = Given(Relations.DECLARED, {"sentences": ['We own "kind": "it".']})
    a_story(session)
    a_story(session, **answers(origin=Given(Origin.READER_TIP), relationships=told))
    a_story(session, reason_subject='"kind": "relationship"')
    a_draft(session, **answers(origin=Given(Origin.OWNER)))
    checked = fingerprint(a_draft(session, headline="By a machine"))
    used = Given(AiUse.GENERATED, {"tools": "Scribe 2", "checked": checked})
    a_story(session, headline="By a machine", **answers(ai=used))

    found = tally(session, on=TODAY).stories

    assert (found.total, found.since, found.with_relationship) == (4, NOON, 1)
    assert found.by_origin == {"monitoring": 3, "reader_tip": 1}
    assert found.by_ai == {"none": 3, "generated": 1}
    assert found.by_type == {"brief": 4}


def test_what_was_decided_about_gates_is_counted_with_its_reasons(session) -> None:
    rows = [a_story(session), a_story(session)]
    hidden = a_draft(session)
    for story_id in (*(row.story_id for row in rows), hidden.id):
        made = Override(story_id=story_id, code="G11", reason="It is news.", by="Sam", at=NOON)
        session.add(made)
    session.flush()

    found = tally(session, on=TODAY)

    assert found.by_gate == {"G11": 2}
    assert [(one.code, one.reason, one.count) for one in found.overrides] == [
        ("G11", "It is news.", 2)
    ]


def test_corrections_and_reports_are_counted_with_the_time_that_they_took(session) -> None:
    editor = an_account(session, RoleName.STANDARDS)
    for n, hours in enumerate((1, 3, 50)):
        story = get_story(session, a_story(session, lead=f"Was {n}.").story_id)
        story.lead = f"Is {n}."
        note = NoteCopy(was=f"was {n}", now_=f"It is {n}.", severity=Severity.MINOR)
        change = Change(ChangeKind.CORRECTION, "Put right", note)
        revision = revise(session, story, change, by=editor, now=NOON + timedelta(hours=hours))
    for minutes in (10, 20):
        made = report(session, revision, ReportKind.ERROR, "No", contact=None, now=NOON)
        if minutes == 10:
            later = NOON + timedelta(minutes=minutes)
            answer(session, made.id, ReportVerdict.UPHELD, "Yes", by=editor, now=later)

    found = tally(session, on=TODAY)

    assert found.notes.by_severity == {"minor": 3, "significant": 0, "serious": 0}
    assert found.notes.median_stood == timedelta(hours=3)
    assert found.reports.by_verdict == {"open": 1, "upheld": 1}
    assert found.reports.median_answer == timedelta(minutes=10)
    assert found.end == find_end(session)


def test_the_register_is_counted_as_it_is_in_public(session) -> None:
    party = a_party(session)
    a_relationship(session, party)
    a_relationship(session, party, Nature.CUSTOMER, visibility=Visibility.MATCH_ONLY)

    found = tally(session, on=TODAY)

    assert (found.listed, found.withheld) == (1, 1)
