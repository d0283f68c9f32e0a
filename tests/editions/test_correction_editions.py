"""A significant correction goes into the next digest of every list that mailed the error."""

from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from nif.editions import digest
from nif.editions.correction_editions import list_carried_notes, list_due_corrections
from nif.editions.digest import make_digest_now, make_digest_of_slot, withdraw_edition
from nif.editions.models import Edition, EditionState
from nif.editions.schedule import Slot
from nif.errors import NifError
from nif.mail.message import MailTooLarge
from nif.sends.correction_sends import count_correction_reach
from nif.sends.models import Batch, BatchState
from nif.sends.planning import plan_send
from nif.services import Services
from nif.stories.corrections import NoteInput, StoryChange, revise_story
from nif.stories.drafts import get_story, save_draft
from nif.stories.models import ChangeKind, NoteSeverity, Revision
from nif.subscriptions.models import MailingList
from tests.conftest import NOON
from tests.factories import a_list, a_story, a_subscription, an_account, story_copy

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SAID = "An earlier version of this story said it was £3m."


def make_digest(
    session: Session, services: Services, mailing_list: MailingList, days: int = 0
) -> Edition:
    due_at = NOON + days * DAY
    edition = make_digest_of_slot(
        session, mailing_list, Slot(due_at.date(), due_at), services.mail_writer, now=due_at
    )
    assert edition is not None
    return edition


def correct(
    session: Session,
    revision: Revision,
    severity: NoteSeverity = NoteSeverity.SIGNIFICANT,
    kind: ChangeKind = ChangeKind.CORRECTION,
    **given: int,
) -> Revision:
    story = get_story(session, revision.story_id)
    now = NOON + (story.edits + 1) * HOUR
    copy = story_copy(headline="Palisade Sells", lead=f"It was £4m. {story.edits}")
    save_draft(session, story, copy, edits=story.edits, now=now)
    note = NoteInput("It was so", "it was £3m", "It was £4m", severity, **given)
    by = an_account(session, email=f"{story.id}-{story.edits}@example.com")
    return revise_story(session, story, StoryChange(kind, "The price", note), by=by, now=now)


@pytest.fixture
def daily(session: Session) -> MailingList:
    return a_list(session)


@pytest.fixture
def wrong_story(session: Session, services: Services, daily: MailingList) -> Revision:
    """A story with an error that the daily list has mailed, and another list has not."""
    a_list(session, slug="other", created_at=NOON + DAY)
    revision = a_story(session, headline="Palisade Sells", at=NOON - HOUR)
    make_digest(session, services, daily)
    return revision


def test_the_next_digest_carries_a_correction_even_without_news(
    session: Session, services: Services, daily: MailingList, wrong_story: Revision
) -> None:
    correct(session, wrong_story)

    edition = make_digest(session, services, daily, days=1)

    message = edition.as_message()
    assert edition.state is EditionState.FROZEN
    assert message.subject == "Correction: Palisade Sells"
    assert SAID in " ".join(message.text.split())
    assert SAID in message.html
    assert "/articles/palisade-sells#note-" in message.text
    assert [note.story_id for note in list_carried_notes(session, edition)] == [
        wrong_story.story_id
    ]


def test_corrections_come_before_the_news(
    session: Session, services: Services, daily: MailingList, wrong_story: Revision
) -> None:
    correct(session, wrong_story)
    a_story(session, headline="Fresh", at=NOON + HOUR)

    message = make_digest(session, services, daily, days=1).as_message()

    assert message.subject == "Fresh"
    assert message.html.index("An earlier version") < message.html.index("Fresh</a></h2>")


def test_a_list_mails_a_correction_once(
    session: Session, services: Services, daily: MailingList, wrong_story: Revision
) -> None:
    correct(session, wrong_story)
    make_digest(session, services, daily, days=1)

    assert make_digest(session, services, daily, days=2).state is EditionState.EMPTY


@pytest.mark.parametrize(
    ("severity", "kind", "is_due"),
    [
        (NoteSeverity.MINOR, ChangeKind.CORRECTION, False),
        (NoteSeverity.SIGNIFICANT, ChangeKind.CORRECTION, True),
        (NoteSeverity.SERIOUS, ChangeKind.CORRECTION, False),
        (NoteSeverity.SERIOUS, ChangeKind.UPDATE, False),
        (NoteSeverity.MINOR, ChangeKind.RETRACTION, False),
        (NoteSeverity.MINOR, ChangeKind.LATE_DISCLOSURE, True),
    ],
)
def test_only_significant_corrections_wait_for_the_digest(
    session: Session,
    daily: MailingList,
    wrong_story: Revision,
    severity: NoteSeverity,
    kind: ChangeKind,
    is_due: bool,
) -> None:
    correct(session, wrong_story, severity, kind)

    assert bool(list_due_corrections(session, daily, now=NOON + DAY)) == is_due


def test_a_list_that_never_mailed_the_error_gets_no_correction(
    session: Session, services: Services, daily: MailingList, wrong_story: Revision
) -> None:
    correct(session, wrong_story)
    other = a_list(session, slug="later")
    first = make_digest(session, services, other, days=1)

    assert list_carried_notes(session, first) == []
    assert list_due_corrections(session, other, now=NOON + 2 * DAY) == []


def test_a_list_that_mailed_a_correct_version_gets_no_correction(
    session: Session, daily: MailingList, wrong_story: Revision
) -> None:
    correct(session, wrong_story, NoteSeverity.MINOR)
    correct(session, wrong_story, first_wrong_n=2)

    assert list_due_corrections(session, daily, now=NOON + DAY) == []


def test_old_corrections_are_no_longer_mailed(
    session: Session, daily: MailingList, wrong_story: Revision
) -> None:
    correct(session, wrong_story)

    assert list_due_corrections(session, daily, now=NOON + 61 * DAY) == []


def test_a_correction_in_a_withdrawn_edition_is_due_again(
    session: Session, services: Services, daily: MailingList, wrong_story: Revision
) -> None:
    correct(session, wrong_story)
    edition = make_digest_now(session, daily, services.mail_writer, now=NOON + DAY)

    withdraw_edition(session, edition, now=NOON + DAY)
    session.flush()

    assert len(list_due_corrections(session, daily, now=NOON + DAY)) == 1


def test_a_digest_never_leaves_without_its_due_corrections(
    session: Session,
    services: Services,
    daily: MailingList,
    wrong_story: Revision,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    correct(session, wrong_story)
    a_story(session, at=NOON + HOUR)

    def too_large(*_: object) -> None:
        raise MailTooLarge

    monkeypatch.setattr(digest, "write_digest_message", too_large)
    with pytest.raises(NifError):
        make_digest(session, services, daily, days=1)


def test_reach_counts_what_the_provider_accepted(
    session: Session, services: Services, daily: MailingList, wrong_story: Revision
) -> None:
    for _ in range(3):
        a_subscription(session, daily)
    correct(session, wrong_story)
    edition = make_digest(session, services, daily, days=1)
    (note,) = list_carried_notes(session, edition)
    send = plan_send(session, edition, now=NOON + DAY)
    assert send is not None
    assert count_correction_reach(session, [note.id]) == {}

    batch = session.query(Batch).filter_by(send_id=send.id).one()
    batch.state, batch.refused = BatchState.ACCEPTED, 1
    session.flush()
    assert count_correction_reach(session, [note.id, note.id + 1]) == {note.id: 2}
