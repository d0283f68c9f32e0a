"""A serious correction is mailed to exactly the subscribers who were mailed the error, once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nif.database import Database
from nif.editions.correction_editions import list_carried_notes, list_due_corrections
from nif.editions.digest import make_digest_of_slot
from nif.editions.models import DIGEST_OCCASION, Edition, EditionNote, EditionState
from nif.editions.schedule import Slot
from nif.mail.provider import Uncertain
from nif.sends import control
from nif.sends.correction_sends import (
    count_correction_reach,
    list_notes_to_mail,
    plan_correction_sends,
)
from nif.sends.delivery import DeliveryContext, deliver_send
from nif.sends.evidence import AttemptResult
from nif.sends.merged_subscribers import carry_deliveries_over
from nif.sends.models import Attempt, Batch, BatchState, Delivery, DeliveryOutcome, Send, SendState
from nif.sends.planning import SendTerms, plan_send
from nif.services import Services
from nif.stories.corrections import NoteInput, StoryChange, StoryNote, revise_story
from nif.stories.drafts import get_story, save_draft
from nif.stories.models import ChangeKind, NoteSeverity, Revision
from nif.subscriptions import lifecycle
from nif.subscriptions.lists import get_list
from nif.subscriptions.models import MailingList, Subscriber, Subscription, SubscriptionState
from tests.conftest import NOON
from tests.factories import (
    HERE,
    a_list,
    a_story,
    a_subscription,
    an_account,
    page_version,
    story_copy,
    subscriptions,
)
from tests.fakes import FakeMailer
from tests.sends.conftest import Clock

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LATER = NOON + DAY
OURS = SendTerms(batch_size=2)


def mailed(
    session: Session, services: Services, mailing_list: MailingList, **terms: timedelta
) -> Send:
    """The send of a digest of a list's new stories, of which every batch was accepted."""
    send = planned(session, services, mailing_list, **terms)
    accepted = select(func.count()).select_from(Batch).where(Batch.send_id == send.id)
    posted(session, send, *[BatchState.ACCEPTED] * (session.scalar(accepted) or 0))
    return send


def planned(
    session: Session, services: Services, mailing_list: MailingList, **terms: timedelta
) -> Send:
    """The send of a digest of a list's new stories, of which nothing was posted yet."""
    slot = Slot(NOON.date(), NOON)
    edition = make_digest_of_slot(session, mailing_list, slot, services.mail_writer, now=NOON)
    assert edition is not None
    send = plan_send(session, edition, replace(OURS, **terms), now=NOON)
    assert send is not None
    return send


def corrected(
    session: Session,
    revision: Revision,
    kind: ChangeKind = ChangeKind.CORRECTION,
    severity: NoteSeverity = NoteSeverity.SERIOUS,
    *,
    at: datetime = NOON + HOUR,
) -> StoryNote:
    """The note of a change to a story."""
    story = get_story(session, revision.story_id)
    copy = story_copy(headline="Palisade Sells Nothing", lead=f"It was not sold. {story.edits}")
    save_draft(session, story, copy, edits=story.edits, now=at)
    note = NoteInput("We no longer stand by it", "it was sold", "It was not sold", severity)
    by = an_account(session, email=f"{story.id}-{story.edits}@example.com")
    revise_story(session, story, StoryChange(kind, "The sale", note), by=by, now=at)
    return session.scalars(select(StoryNote).order_by(StoryNote.id.desc()).limit(1)).one()


def mail_what_is_due(session: Session, services: Services, *, now: datetime = LATER) -> list[Send]:
    """What the worker's job does."""
    due = list_notes_to_mail(session, now=now)
    return [
        one
        for each in due
        for one in plan_correction_sends(session, each, services.mail_writer, OURS, now=now)
    ]


def audience(session: Session, *sends: Send) -> list[str]:
    """The addresses in some sends, as often as they are in them."""
    query = (
        select(Subscriber.address)
        .join(Delivery, Delivery.subscriber_id == Subscriber.id)
        .where(Delivery.send_id.in_([send.id for send in sends]))
    )
    return sorted(session.scalars(query))


def readers(session: Session, mailing_list: MailingList, *names: str) -> None:
    for name in names:
        a_subscription(session, mailing_list, f"{name}@example.com")


def posted(session: Session, send: Send, *states: BatchState) -> None:
    """Set the states of a send's batches, in order, with the attempts that led to them."""
    query = select(Batch).where(Batch.send_id == send.id).order_by(Batch.first_subscriber_id)
    for batch, state in zip(session.scalars(query).all(), states, strict=True):
        batch.state = state
        if state is not BatchState.PLANNED and batch.attempt_id is None:
            batch.attempt_id = uuid4().hex
            session.add(
                Attempt(
                    id=batch.attempt_id,
                    send_id=send.id,
                    batch_id=batch.id,
                    lease_id="a lease",
                    first_subscriber_id=batch.first_subscriber_id,
                    last_subscriber_id=batch.last_subscriber_id,
                    copies=batch.size,
                    started_at=NOON,
                    result=RESULTS[state],
                    version=send.edition.version,
                )
            )
    session.flush()


RESULTS = {
    BatchState.ACCEPTED: AttemptResult.ACCEPTED,
    BatchState.AWAITING_PROOF: AttemptResult.UNCERTAIN,
    BatchState.AWAITING_DECISION: AttemptResult.UNCERTAIN,
    BatchState.IN_FLIGHT: None,
}
"""How the attempt at a batch has ended that is in this state."""


@pytest.fixture
def daily(session: Session) -> MailingList:
    return a_list(session)


@pytest.fixture
def wrong(session: Session) -> Revision:
    return a_story(session, headline="Palisade Sells", at=NOON - HOUR)


def test_a_correction_is_an_edition_of_its_own_beside_the_days_digest(
    session: Session, services: Services, daily: MailingList, wrong: Revision
) -> None:
    readers(session, daily, "ann")
    digest = mailed(session, services, daily).edition
    note = corrected(session, wrong)

    (send,) = mail_what_is_due(session, services, now=NOON + 2 * HOUR)

    edition, message = send.edition, send.edition.as_message()
    assert (edition.slot, edition.note_id) == (digest.slot, note.id)
    assert (edition.occasion, digest.occasion) == (f"note-{note.id}", DIGEST_OCCASION)
    assert message.subject == "Correction: Palisade Sells Nothing"
    text = " ".join(message.text.split())
    assert "We mailed you this story on Friday 20 November 2026, and it was seriously" in text
    assert "WHAT WAS WRONG It was sold." in text
    assert "WHAT IS RIGHT It was not sold." in text
    assert note.text in text
    for form in (message.text, message.html):
        assert f"/newsletters/daily/2026-11-20/correction-{note.id}" in form
        assert f"/articles/palisade-sells-nothing#note-{note.id}" in form or "#note-" in form
        assert "%nif.unsubscribe%" in form
        assert services.settings.postal_address in form
    assert list_carried_notes(session, edition) == [note]
    assert mail_what_is_due(session, services) == []
    assert list_due_corrections(session, daily, now=LATER) == []


@pytest.mark.parametrize(
    ("kind", "subject", "says"),
    [
        (ChangeKind.RETRACTION, "Retraction: ", "and have retracted it since"),
        (ChangeKind.REMOVAL, "Removed: ", "and have removed it since"),
    ],
)
def test_a_withdrawn_story_is_announced_as_withdrawn(
    session: Session,
    services: Services,
    daily: MailingList,
    wrong: Revision,
    kind: ChangeKind,
    subject: str,
    says: str,
) -> None:
    readers(session, daily, "ann")
    mailed(session, services, daily)
    corrected(session, wrong, kind)

    message = mail_what_is_due(session, services)[0].edition.as_message()

    assert message.subject.startswith(subject)
    assert says in " ".join(message.text.split())
    assert "We no longer stand by it." in message.html
    assert "What was wrong" not in message.html


def test_a_note_that_is_not_serious_waits_for_the_digest(
    session: Session, services: Services, daily: MailingList, wrong: Revision
) -> None:
    mailed(session, services, daily)
    note = corrected(session, wrong, severity=NoteSeverity.SIGNIFICANT)

    assert mail_what_is_due(session, services) == []
    assert [due.note for due in list_due_corrections(session, daily, now=LATER)] == [note]


@pytest.mark.parametrize("state", SendState)
def test_everyone_who_was_or_may_have_been_mailed_gets_the_correction(
    session: Session, services: Services, daily: MailingList, wrong: Revision, state: SendState
) -> None:
    """Those who were not mailed yet will not be mailed the error."""
    readers(session, daily, *"abcdefgh")
    send = planned(session, services, daily)
    send.state = state
    posted(
        session,
        send,
        BatchState.ACCEPTED,
        BatchState.AWAITING_DECISION,
        BatchState.PLANNED,
        BatchState.IN_FLIGHT,
    )
    corrected(session, wrong)

    made = mail_what_is_due(session, services)

    assert audience(session, *made) == [f"{name}@example.com" for name in "abcdgh"]


def test_subscribers_certainly_not_mailed_or_unsubscribed_get_no_correction(
    session: Session, services: Services, daily: MailingList, wrong: Revision
) -> None:
    certain = [each for each in DeliveryOutcome if each is not DeliveryOutcome.ALREADY_MAILED]
    *unmailed, last = names = "abcdefghijk"[: len(certain) + 1]
    readers(session, daily, *names)
    gone = a_subscription(session, daily, "gone@example.com")
    send = mailed(session, services, daily)
    readers(session, daily, "late")
    readers(session, a_list(session, slug="other"), "elsewhere")
    rows = session.scalars(select(Delivery).where(Delivery.send_id == send.id)).all()
    for row, outcome in zip(rows[: len(unmailed)], certain, strict=True):
        row.outcome = outcome
    gone.state = SubscriptionState.UNSUBSCRIBED
    corrected(session, wrong)

    assert audience(session, *mail_what_is_due(session, services)) == [f"{last}@example.com"]


@pytest.mark.parametrize("cancelled", [False, True])
def test_a_subscriber_with_the_error_at_an_address_they_moved_to_gets_the_correction(
    session: Session, services: Services, daily: MailingList, wrong: Revision, cancelled: bool
) -> None:
    readers(session, daily, "ann", "bob", "cy")
    send = mailed(session, services, daily)
    posted(session, send, BatchState.ACCEPTED, BatchState.PLANNED)
    cy = session.scalars(select(Subscriber).where(Subscriber.address == "cy@example.com")).one()
    session.get_one(Delivery, (send.id, cy.id)).outcome = DeliveryOutcome.ALREADY_MAILED
    if cancelled:
        send.state = SendState.CANCELLED
    corrected(session, wrong)

    made = mail_what_is_due(session, services)

    assert audience(session, *made) == [f"{name}@example.com" for name in ("ann", "bob", "cy")]


def test_who_was_told_by_one_list_and_moves_there_is_not_told_again_by_another(
    database: Database, services: Services, context: DeliveryContext, mailer: FakeMailer
) -> None:
    with database.transaction() as session:
        daily, weekly = a_list(session), a_list(session, slug="weekly")
        wrong = a_story(session, at=NOON - HOUR)
        ann = a_subscription(session, daily, "ann@example.com").subscriber_id
        bob = a_subscription(session, weekly, "bob@example.com").subscriber_id
        for one in (daily, weekly):
            mailed(session, services, one).state = SendState.FINISHED
        corrected(session, wrong)
        first, second = mail_what_is_due(session, services, now=NOON + 2 * HOUR)
    later = replace(context, clock=Clock(NOON + 2 * HOUR))
    deliver_send(later, first.id)

    with database.transaction() as session:
        carry_deliveries_over(session, of=ann, to=bob)
    deliver_send(later, second.id)

    assert mailer.addresses() == ["ann@example.com"]


def test_a_subscriber_of_two_lists_gets_the_correction_once(
    session: Session, services: Services, daily: MailingList, wrong: Revision
) -> None:
    weekly = a_list(session, slug="weekly")
    readers(session, daily, "ann", "bob")
    readers(session, weekly, "cy")
    both = a_subscription(session, daily, "dee@example.com")
    session.add(
        type(both)(
            subscriber_id=both.subscriber_id,
            list_id=weekly.id,
            state=SubscriptionState.CONFIRMED,
            requested_at=NOON,
            confirmed_at=NOON,
        )
    )
    for one in (daily, weekly):
        mailed(session, services, one)
    note = corrected(session, wrong)

    first, second = mail_what_is_due(session, services)

    assert audience(session, first) == ["ann@example.com", "bob@example.com", "dee@example.com"]
    assert audience(session, second) == ["cy@example.com"]
    posted(session, first, BatchState.ACCEPTED, BatchState.ACCEPTED)
    posted(session, second, BatchState.ACCEPTED)
    assert count_correction_reach(session, [note.id]) == {note.id: 4}


def test_a_digest_that_can_still_be_undone_owes_no_correction_yet(
    session: Session, services: Services, daily: MailingList, wrong: Revision
) -> None:
    readers(session, daily, "ann")
    mailed(session, services, daily, undo_period=2 * HOUR)
    corrected(session, wrong)

    assert mail_what_is_due(session, services, now=NOON + HOUR) == []
    assert len(mail_what_is_due(session, services, now=NOON + 2 * HOUR)) == 1


def test_a_list_that_had_the_right_revision_gets_nothing_and_each_correction_goes_out(
    session: Session, services: Services, daily: MailingList, wrong: Revision
) -> None:
    readers(session, daily, "ann")
    mailed(session, services, daily)
    corrected(session, wrong)
    corrected(session, wrong, ChangeKind.RETRACTION, at=NOON + 2 * HOUR)
    other = a_list(session, slug="other", created_at=NOON - DAY)
    later = a_story(session, headline="Fine", at=NOON)
    corrected(session, later, at=NOON + HOUR)
    readers(session, other, "bob")
    slot = Slot(LATER.date(), LATER)
    edition = make_digest_of_slot(session, other, slot, services.mail_writer, now=LATER)
    assert edition is not None
    assert len(edition.items) == 1
    plan_send(session, edition, now=LATER)

    made = mail_what_is_due(session, services)

    subjects = [send.edition.as_message().subject.partition(":")[0] for send in made]
    assert subjects == ["Correction", "Retraction"]
    assert audience(session, *made) == ["ann@example.com"] * 2


@pytest.mark.parametrize(
    ("take_back", "state"),
    [(control.undo_send, EditionState.WITHDRAWN), (control.cancel_send, EditionState.CANCELLED)],
)
def test_the_next_digest_carries_a_correction_that_was_taken_back_before_any_of_it_left(
    session: Session,
    services: Services,
    daily: MailingList,
    wrong: Revision,
    take_back: Callable[..., None],
    state: EditionState,
) -> None:
    readers(session, daily, "ann")
    mailed(session, services, daily)
    note = corrected(session, wrong)
    (send,) = mail_what_is_due(session, services, now=NOON + 2 * HOUR)
    edition = send.edition

    take_back(session, send, now=NOON + 2 * HOUR)
    session.flush()

    assert edition.state is state
    assert mail_what_is_due(session, services) == []
    slot = Slot(LATER.date(), LATER)
    digest = make_digest_of_slot(session, daily, slot, services.mail_writer, now=LATER)
    assert digest is not None
    assert list_carried_notes(session, digest) == [note]
    assert list_due_corrections(session, daily, now=LATER + DAY) == []


def test_five_workers_at_once_plan_each_subscriber_once(
    database: Database, services: Services
) -> None:
    with database.transaction() as session:
        wrong = a_story(session, headline="Palisade Sells", at=NOON - HOUR)
        for slug in ("daily", "weekly"):
            mailing_list = a_list(session, slug=slug)
            subscriptions(session, mailing_list, 5)
            mailed(session, services, mailing_list)
        note_id = corrected(session, wrong).id

    def work(_: int) -> int:
        with database.transaction() as session:
            return len(
                plan_correction_sends(session, note_id, services.mail_writer, OURS, now=LATER)
            )

    with ThreadPoolExecutor(5) as threads:
        assert sum(threads.map(work, range(5))) == 2

    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(EditionNote)) == 2
        of_notes = select(Send).join(Edition).where(Edition.note_id == note_id)
        assert [send.audience for send in session.scalars(of_notes)] == [5, 5]


def test_a_correction_reaches_everyone_although_workers_die(
    database: Database,
    services: Services,
    context: DeliveryContext,
    mailer: FakeMailer,
    clock: Clock,
) -> None:
    """A had it by two lists, B left since, C had a right version, D was refused, E may have it."""
    mailer.refuses.add("d@example.com")
    with database.transaction() as session:
        wrong = a_story(session, headline="Palisade Sells", at=NOON - HOUR)
        daily, weekly = a_list(session), a_list(session, slug="weekly")
        monthly = a_list(session, slug="monthly")
        held = a_list(session, slug="held")
        for mailing_list in (daily, weekly):
            join(session, mailing_list, "a@example.com")
        readers(session, daily, "b", "d")
        readers(session, monthly, "c")
        readers(session, held, "e")
        sends = [mailed(session, services, one).id for one in (daily, weekly)]
        uncertain = mailed(session, services, held).id
    for send_id in sends:
        deliver_send(context, send_id)
    mailer.raises.append(Uncertain("no answer"))
    deliver_send(context, uncertain)
    with database.transaction() as session:
        leave(session, "b@example.com")
        note_id = corrected(session, wrong).id
        slot = Slot(NOON.date(), NOON + 2 * HOUR)
        right = make_digest_of_slot(
            session, get_list(session, "monthly"), slot, services.mail_writer, now=slot.due_at
        )
        assert right is not None
        sends.append(plan_send(session, right, now=NOON + 2 * HOUR).id)
    before = current_page_version(database)
    clock.now = LATER - HOUR
    deliver_send(context, sends[-1])
    mailer.posted.clear()
    clock.now = LATER

    with pytest.raises(KeyboardInterrupt):
        plan_and_die(database, services, note_id)
    with database.transaction() as session:
        made = [send.id for send in mail_what_is_due(session, services)]
    for send_id in made:
        deliver_send(context, send_id)
        deliver_send(context, send_id)

    assert sorted(mailer.addresses()) == ["a@example.com", "e@example.com"]
    with database.reading() as session:
        assert count_correction_reach(session, [note_id]) == {note_id: 2}
    assert current_page_version(database) > before


def plan_and_die(database: Database, services: Services, note_id: int) -> None:
    with database.transaction() as session:
        plan_correction_sends(session, note_id, services.mail_writer, OURS, now=LATER)
        raise KeyboardInterrupt


def join(session: Session, mailing_list: MailingList, address: str) -> None:
    """Someone is on one list, or on one more."""
    known = session.scalar(select(Subscriber).where(Subscriber.address == address))
    if known is None:
        a_subscription(session, mailing_list, address)
        return
    stranger = a_subscription(session, mailing_list)
    stranger.subscriber_id = known.id
    session.flush()


def leave(session: Session, address: str) -> None:
    theirs = select(Subscription).join(Subscriber).where(Subscriber.address == address)
    lifecycle.unsubscribe_from_list(session, session.scalars(theirs).one(), HERE, now=NOON)


def current_page_version(database: Database) -> int:
    with database.reading() as session:
        return page_version(session)
