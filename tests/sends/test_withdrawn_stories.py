"""Nobody is mailed a story that the newsroom has withdrawn since its edition was frozen."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from nif.database import Database
from nif.editions.digest import make_digest_of_slot
from nif.editions.models import Edition, EditionItem, EditionState, ReplacedMessage
from nif.editions.schedule import Slot
from nif.errors import Conflict
from nif.jobs.worker import Worker
from nif.mail.provider import Uncertain
from nif.sends import control
from nif.sends.batches import ClaimedBatch
from nif.sends.certificates import certify_send, delivery_statuses_as_csv, stream_delivery_statuses
from nif.sends.correction_sends import list_notes_to_mail, plan_correction_sends
from nif.sends.delivery import DeliveryContext, deliver_send
from nif.sends.models import BatchState, Send, SendState, SendStopCause
from nif.sends.planning import plan_send
from nif.services import Services
from nif.stories.models import ChangeKind, NoteSeverity, Revision
from nif.subscriptions.lists import get_list
from tests.conftest import NOON
from tests.factories import a_list, a_plain_send, a_story
from tests.fakes import FakeMailer
from tests.sends import helpers
from tests.sends.conftest import Clock
from tests.sends.test_correction_sends import (
    HOUR,
    LATER,
    OURS,
    audience,
    corrected,
    planned,
    readers,
)

WRONG, FINE = "Palisade Sells", "All Is Well"


@pytest.fixture(autouse=True)
def stories(database: Database, services: Services) -> dict[str, Revision]:
    """Two stories, in a digest to six readers, of which nothing was posted yet: send 1."""
    with database.transaction() as session:
        daily = a_list(session)
        readers(session, daily, *"abcdef")
        made = {
            WRONG: a_story(session, headline=WRONG, at=NOON - HOUR),
            FINE: a_story(session, headline=FINE, at=NOON - 2 * HOUR),
        }
        assert planned(session, services, daily).id == 1
    return made


def post_some(context: DeliveryContext, mailer: FakeMailer, count: int = 1) -> None:
    """Post so many batches of two, then let the worker stop."""
    until = mailer.post_count + count
    post = mailer.post

    def post_and_stop(request: Any) -> str | None:
        if mailer.post_count + 1 == until:
            context.stopping.set()
        return post(request)

    mailer.post = post_and_stop  # type: ignore[method-assign]
    deliver_send(context, 1)
    context.stopping.clear()
    mailer.post = post  # type: ignore[method-assign]


def withdraw(
    database: Database, revision: Revision, kind: ChangeKind = ChangeKind.RETRACTION, **given: Any
) -> int:
    with database.transaction() as session:
        return corrected(session, revision, kind, **given).id


def refreeze(database: Database, services: Services, send_id: int = 1) -> None:
    with database.transaction() as session:
        send = control.get_send(session, send_id)
        control.refreeze_send(session, send, services.mail_writer, now=NOON + HOUR)


def got(mailer: FakeMailer) -> dict[str, list[str]]:
    """The addresses that were mailed each subject, in order."""
    found: dict[str, list[str]] = {}
    for _, message, copies in mailer.posted:
        found.setdefault(message.subject, []).extend(copy.address[0] for copy in copies)
    return found


def texts_of(mailer: FakeMailer, reader: str) -> list[str]:
    return [
        message.text + message.html
        for _, message, copies in mailer.posted
        if any(copy.address[0] == reader for copy in copies)
    ]


@pytest.mark.parametrize(
    ("kind", "happened"),
    [
        (ChangeKind.RETRACTION, "was retracted"),
        (ChangeKind.REMOVAL, "was removed"),
        (ChangeKind.CORRECTION, "was seriously wrong and was corrected"),
    ],
)
def test_no_batch_is_claimed_while_a_story_of_its_edition_is_withdrawn(
    database: Database,
    context: DeliveryContext,
    mailer: FakeMailer,
    stories: dict[str, Revision],
    kind: ChangeKind,
    happened: str,
) -> None:
    post_some(context, mailer)
    withdraw(database, stories[WRONG], kind)

    deliver_send(context, 1)

    assert helpers.states(database, 1) == ["accepted", "planned", "planned"]
    send = helpers.get_send(database, 1)
    assert (send.state, send.stop_cause) == (SendState.PAUSED, SendStopCause.SERIOUS_NOTE)
    assert send.stop_detail == f"“{WRONG}” {happened} after this edition was frozen."


def test_resuming_by_hand_does_not_mail_a_withdrawn_story(
    database: Database, context: DeliveryContext, mailer: FakeMailer, stories: dict[str, Revision]
) -> None:
    """A person resumes a send that they had paused before; another door forgets to ask."""
    post_some(context, mailer)
    helpers.change_send(database, 1, state=SendState.PAUSED, stop_cause=SendStopCause.MANUAL)
    withdraw(database, stories[WRONG])

    with pytest.raises(Conflict, match=r"so nobody else is mailed that\. Freeze the edition again"):
        helpers.resume(database, 1)
    helpers.change_send(database, 1, state=SendState.SENDING)
    deliver_send(context, 1)

    assert len(mailer.posted) == 1
    assert helpers.get_send(database, 1).stop_cause is SendStopCause.SERIOUS_NOTE


def test_the_rest_get_a_new_version_without_the_story(
    database: Database,
    services: Services,
    context: DeliveryContext,
    mailer: FakeMailer,
    stories: dict[str, Revision],
) -> None:
    post_some(context, mailer)
    withdraw(database, stories[WRONG])
    deliver_send(context, 1)

    refreeze(database, services)
    deliver_send(context, 1)

    assert helpers.get_send(database, 1).state is SendState.FINISHED
    first, second = got(mailer).items()
    assert (first[1], second[1]) == (["a", "b"], ["c", "d", "e", "f"])
    for reader, has_it in (("a", True), ("c", False)):
        (text,) = texts_of(mailer, reader)
        assert (WRONG in text) is has_it
        assert FINE in text
    assert [attempt.version for attempt in helpers.attempts(database, 1)] == [1, 2, 2]
    helpers.count_and_certify(database, 1)
    certificate = certify_send(database, 1, now=NOON)
    assert certificate.is_complete
    with database.reading() as session:
        edition = session.get_one(Edition, 1)
        kept = session.scalars(select(ReplacedMessage)).one()
        assert kept.message["subject"] == first[0]
        lines = delivery_statuses_as_csv(stream_delivery_statuses(session, 1))
        versions = [line.strip().rpartition(",")[2] for line in "".join(lines).splitlines()[1:]]
    assert versions == ["1", "1", "2", "2", "2", "2"]
    assert certificate.content_hash == edition.content_hash != kept.content_hash
    assert [vars(one) for one in certificate.versions] == [
        {"version": 1, "content_hash": kept.content_hash, "accepted": 2, "undecided": 0},
        {"version": 2, "content_hash": edition.content_hash, "accepted": 4, "undecided": 0},
    ]


def test_the_correction_goes_to_those_who_were_mailed_the_error_and_to_nobody_else(
    database: Database,
    services: Services,
    context: DeliveryContext,
    mailer: FakeMailer,
    clock: Clock,
    stories: dict[str, Revision],
) -> None:
    """Whether its mail is planned before or after the rest get the new version; twice for two."""
    post_some(context, mailer)
    notes = [withdraw(database, stories[WRONG], ChangeKind.CORRECTION)]
    made = mail_corrections(database, services)
    refreeze(database, services)
    deliver_send(context, 1)
    notes += [withdraw(database, stories[WRONG], at=NOON + 2 * HOUR)]
    made += mail_corrections(database, services)
    clock.now = LATER
    for send_id in made:
        deliver_send(context, send_id)

    with database.reading() as session:
        edition_of = {s.edition.note_id: s for s in map(session.get_one, [Send] * 2, made)}
        assert edition_of.keys() == set(notes)
        for send in edition_of.values():
            assert audience(session, send) == ["a@example.com", "b@example.com"]
            assert send.state is SendState.FINISHED
    assert len(texts_of(mailer, "a")) == 3
    assert len(texts_of(mailer, "c")) == 1


def mail_corrections(database: Database, services: Services) -> list[int]:
    """Plan the sends of all notes that are due, as the worker does."""
    with database.transaction() as session:
        return [
            send.id
            for note_id in list_notes_to_mail(session, now=LATER)
            for send in plan_correction_sends(
                session, note_id, services.mail_writer, OURS, now=LATER
            )
        ]


def test_a_worker_posts_no_message_that_was_replaced(
    database: Database, services: Services, stories: dict[str, Revision]
) -> None:
    """It read the old message, and claims its next batch after the edition was frozen again."""
    withdraw(database, stories[WRONG])
    refreeze(database, services)

    assert helpers.claim_next(database, 1, version=1) is None
    claimed = helpers.claim_next(database, 1, version=2)
    assert isinstance(claimed, ClaimedBatch)


def test_a_batch_that_was_not_accepted_is_posted_in_the_new_version(
    database: Database,
    services: Services,
    context: DeliveryContext,
    mailer: FakeMailer,
    stories: dict[str, Revision],
) -> None:
    mailer.raises.append(Uncertain("no answer"))
    post_some(context, mailer)
    withdraw(database, stories[WRONG])
    refreeze(database, services)
    deliver_send(context, 1)
    (undecided,) = [one for one in helpers.batches(database, 1) if one.state != "accepted"]
    assert [one.undecided for one in certify_send(database, 1, now=NOON).versions] == [2, 0]

    with database.transaction() as session:
        send, attempt = session.get_one(Send, 1), undecided.attempt_id or ""
        control.resolve_undecided_batch(
            session, send, undecided.id, attempt, accepted=False, now=NOON
        )
    deliver_send(context, 1)

    assert all(WRONG not in text for text in texts_of(mailer, "a"))
    assert [one.accepted for one in certify_send(database, 1, now=NOON).versions] == [0, 6]
    assert mail_corrections(database, services) == []


def test_a_send_that_has_not_started_is_paused_and_its_story_is_new_again(
    database: Database,
    services: Services,
    context: DeliveryContext,
    mailer: FakeMailer,
    stories: dict[str, Revision],
) -> None:
    """Nobody was mailed the story, so the list may have it as it is now, and is owed no note."""
    helpers.change_send(database, 1, starts_at=NOON + HOUR)
    withdraw(database, stories[WRONG], ChangeKind.CORRECTION)

    Worker(services).run("pause_withdrawn_sends")

    send = helpers.get_send(database, 1)
    assert (send.state, send.stop_cause) == (SendState.PAUSED, SendStopCause.SERIOUS_NOTE)
    refreeze(database, services)
    assert helpers.get_send(database, 1).starts_at == NOON + HOUR
    deliver_send(context, 1)
    assert mailer.posted == []
    deliver_send(replace(context, clock=lambda: NOON + HOUR), 1)
    assert [one.accepted for one in certify_send(database, 1, now=NOON).versions] == [0, 6]
    assert mail_corrections(database, services) == []
    with database.transaction() as session:
        following = make_digest_of_slot(
            session,
            get_list(session, "daily"),
            Slot(LATER.date(), LATER),
            services.mail_writer,
            now=LATER,
        )
        assert following is not None
        assert [item.revision.n for item in following.items] == [2]


def test_an_edition_that_has_nothing_else_can_only_be_cancelled(
    database: Database, services: Services, stories: dict[str, Revision]
) -> None:
    for revision in stories.values():
        withdraw(database, revision)

    with pytest.raises(Conflict, match="Nothing else is left in this edition"):
        refreeze(database, services)
    with database.transaction() as session:
        control.cancel_send(session, session.get_one(Send, 1), now=NOON)

    assert helpers.get_send(database, 1).state is SendState.CANCELLED
    assert mail_corrections(database, services) == []


def test_one_story_after_the_other_is_left_out(
    database: Database, services: Services, context: DeliveryContext, mailer: FakeMailer
) -> None:
    with database.transaction() as session:
        weekly = a_list(session, slug="weekly")
        readers(session, weekly, *"uvwxyz")
        third = a_story(session, headline="A Third", at=NOON - HOUR / 2)
        wrong, fine = (item.revision for item in session.get_one(Edition, 1).items)
        send_id = planned(session, services, weekly).id
    first, second = (helpers.claim_next(database, send_id, version=1), withdraw(database, wrong))
    refreeze(database, services, send_id)
    helpers.accept(database, first)
    helpers.accept(database, helpers.claim_next(database, send_id, version=2))
    withdraw(database, fine)
    assert helpers.claim_next(database, send_id, version=2) is None
    refreeze(database, services, send_id)
    helpers.accept(database, helpers.claim_next(database, send_id, version=3))

    certificate = certify_send(database, send_id, now=NOON)
    assert [(one.version, one.accepted) for one in certificate.versions] == [(1, 2), (2, 2), (3, 2)]
    with database.reading() as session:
        items = session.scalars(
            select(EditionItem).join(Edition).join(Send).where(Send.id == send_id)
        )
        last = {item.story_id: item.last_version for item in items}
    assert last == {third.story_id: None, wrong.story_id: 1, fine.story_id: 2}
    made = mail_corrections(database, services)
    with database.reading() as session:
        sizes = {
            send.edition.note_id: send.audience for send in map(session.get_one, [Send] * 2, made)
        }
    assert sizes == {second: 2, max(sizes): 4}


@pytest.mark.parametrize(
    ("kind", "severity"),
    [
        (ChangeKind.CORRECTION, NoteSeverity.SIGNIFICANT),
        (ChangeKind.CORRECTION, NoteSeverity.MINOR),
        (ChangeKind.UPDATE, NoteSeverity.SERIOUS),
    ],
)
def test_a_note_that_is_not_serious_pauses_nothing(
    database: Database,
    context: DeliveryContext,
    stories: dict[str, Revision],
    kind: ChangeKind,
    severity: NoteSeverity,
) -> None:
    withdraw(database, stories[WRONG], kind, severity=severity)

    deliver_send(context, 1)

    assert helpers.get_send(database, 1).state is SendState.FINISHED


def test_an_edition_with_the_right_revision_is_mailed(
    database: Database, services: Services, stories: dict[str, Revision]
) -> None:
    withdraw(database, stories[WRONG], ChangeKind.CORRECTION)
    with database.transaction() as session:
        other = a_list(session, slug="other", created_at=NOON)
        readers(session, other, "z")
        slot = Slot(NOON.date(), NOON + 2 * HOUR)
        edition = make_digest_of_slot(session, other, slot, services.mail_writer, now=slot.due_at)
        assert edition is not None
        assert 2 in [item.revision.n for item in edition.items]
        send = plan_send(session, edition, now=slot.due_at)
        assert send is not None

    assert helpers.claimed_batch(database, send.id, now=slot.due_at)


def test_a_send_that_was_paused_for_another_reason_stays_paused(
    database: Database, services: Services, stories: dict[str, Revision]
) -> None:
    complaints = {"stop_cause": SendStopCause.COMPLAINTS, "stop_detail": "0.2 %"}
    helpers.change_send(database, 1, state=SendState.PAUSED, **complaints)
    withdraw(database, stories[WRONG])

    refreeze(database, services)

    send = helpers.get_send(database, 1)
    assert (send.state, send.stop_cause) == (SendState.PAUSED, SendStopCause.COMPLAINTS)
    helpers.resume(database, 1)
    assert helpers.get_send(database, 1).high_rates_tolerated


def test_a_send_without_a_withdrawn_story_is_not_frozen_again(
    database: Database, services: Services, context: DeliveryContext, stories: dict[str, Revision]
) -> None:
    with pytest.raises(Conflict, match="no withdrawn story ahead"):
        refreeze(database, services)
    deliver_send(context, 1)
    withdraw(database, stories[WRONG])
    with pytest.raises(Conflict, match="finished already"):
        refreeze(database, services)


def test_a_send_with_nobody_left_to_mail_is_not_paused(
    database: Database, services: Services, stories: dict[str, Revision]
) -> None:
    """What is on its way settles, and the send finishes."""
    claimed = [helpers.claimed_batch(database, 1) for _ in range(3)]
    withdraw(database, stories[WRONG])

    Worker(services).run("pause_withdrawn_sends")
    for each in claimed:
        helpers.accept(database, each)

    assert helpers.get_send(database, 1).state is SendState.SENDING
    Worker(services).run("reconcile_batches")
    assert helpers.get_send(database, 1).state is SendState.FINISHED


def test_a_send_that_was_frozen_again_can_be_undone_and_made_once_more(
    database: Database, services: Services, stories: dict[str, Revision]
) -> None:
    withdraw(database, stories[WRONG])
    refreeze(database, services)
    with database.transaction() as session:
        control.undo_send(session, session.get_one(Send, 1), now=NOON + 25 * HOUR)
    with database.reading() as session:
        edition = session.get_one(Edition, 1)
        assert (edition.state, edition.version) == (EditionState.WITHDRAWN, 1)
        assert session.scalars(select(ReplacedMessage)).all() == []
        assert session.scalars(select(EditionItem)).all() == []


def test_every_send_with_the_story_is_paused_and_no_other(
    database: Database, services: Services, stories: dict[str, Revision]
) -> None:
    with database.transaction() as session:
        weekly = a_list(session, slug="weekly")
        readers(session, weekly, "z")
        planned(session, services, weekly)
        other = a_plain_send(session, "y@example.com").id
    withdraw(database, stories[FINE])

    with database.transaction() as session:
        assert control.pause_withdrawn_sends(session) == [1, 2]
    assert helpers.get_send(database, other).state is SendState.SENDING
    assert helpers.batches(database, other)[0].state is BatchState.PLANNED
