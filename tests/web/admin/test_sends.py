"""The page of a send: its progress, its problems, and control over it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from nif.clock import utc_now
from nif.database import Database
from nif.editions.correction_editions import list_due_corrections
from nif.sends import batches, control
from nif.sends.certificates import count_deliveries
from nif.sends.departures import Departures
from nif.sends.evidence import AttemptResult
from nif.sends.models import (
    Attempt,
    Batch,
    BatchState,
    Delivery,
    DeliveryOutcome,
    Lease,
    Send,
    SendEventCount,
    SendState,
    SendStopCause,
)
from nif.services import Services
from nif.stories.models import ChangeKind
from nif.web.admin import send_status, sends
from tests.conftest import NOON
from tests.factories import a_list, a_plain_send, a_story
from tests.sends.helpers import (
    accept,
    claimed_batch,
    planned_send,
    release,
    uncertain_batch,
    watch_stream,
)
from tests.sends.test_correction_sends import (
    HOUR,
    LATER,
    corrected,
    mail_what_is_due,
    mailed,
    posted,
    readers,
)
from tests.sends.test_correction_sends import planned as planned_digest
from tests.sends.test_departures import mailed_twice
from tests.web.newsroom.staff import text_of


def planned(database: Database, *addresses: str, **changes: object) -> str:
    """The address of the page of a new send to three subscribers, or to these."""
    with database.transaction() as session:
        send = a_plain_send(session, *addresses, count=0 if addresses else 3)
        for name, value in changes.items():
            setattr(send, name, value)
        return f"/admin/sends/{send.id}"


def make_batch_undecided(database: Database) -> int:
    """Make the only batch undecided; returns its id."""
    with database.transaction() as session:
        batch = session.scalars(select(Batch)).one()
        session.add(
            Lease(
                id="l", send_id=batch.send_id, holder="mail-2/81", acquired_at=NOON, renewed_at=NOON
            )
        )
        attempt = Attempt(
            id="a" * 32,
            send_id=batch.send_id,
            batch_id=batch.id,
            lease_id="l",
            first_subscriber_id=batch.first_subscriber_id,
            last_subscriber_id=batch.last_subscriber_id,
            copies=batch.size,
            started_at=NOON,
            result=AttemptResult.UNCERTAIN,
            reason="no whole answer came",
            uncertain_since=NOON,
        )
        session.add(attempt)
        batch.state, batch.attempt_id = BatchState.AWAITING_DECISION, attempt.id
        return batch.id


def state_of(database: Database) -> SendState:
    with database.reading() as session:
        return session.get_one(Send, 1).state


def test_all_sends_are_listed_newest_first_in_pages(
    admin: FlaskClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Nothing has been sent yet." in admin.get("/admin/sends").text
    monkeypatch.setattr(sends, "SENDS_A_PAGE", 2)
    first, second, third = planned(database), planned(database), planned(database)

    page = admin.get("/admin/sends").text
    assert first not in page
    assert page.index(f'href="{third}"') < page.index(f'href="{second}"')
    assert 'href="/admin/sends?after=2"' in page
    older = admin.get("/admin/sends?after=2").text
    assert f'href="{first}"' in older
    assert f'href="{second}"' not in older
    assert "There are no earlier sends" in admin.get("/admin/sends?after=1").text
    assert admin.get("/admin/sends?after=99999999999999999999").status_code == 404


def test_a_running_send_updates_itself_unless_updates_are_off(
    admin: FlaskClient, database: Database
) -> None:
    address = planned(database)

    updating = admin.get(address)
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in updating.text
    assert f'data-from="{address}/progress"' in updating.text
    assert "Pending 3" in text_of(updating.text)
    assert "Audience 3" in text_of(updating.text)
    still = admin.get(f"{address}?still=1")
    assert "refresh" not in still.text
    assert "<script" not in still.text
    assert "This page does not update." in still.text


def test_the_polled_progress_is_sent_only_if_it_has_changed(
    admin: FlaskClient, database: Database
) -> None:
    address = f"{planned(database)}/progress"
    first = admin.get(address)
    assert "<html" not in first.text
    assert "0 of 3 accepted." in first.text

    known = {"If-None-Match": first.headers["ETag"]}
    same = admin.get(address, headers=known)
    assert (same.status_code, same.data) == (304, b"")
    with database.transaction() as session:
        session.execute(update(Batch).values(state=BatchState.ACCEPTED, settled_at=utc_now()))
    assert "3 of 3 accepted." in admin.get(address, headers=known).text


def test_a_send_that_has_not_started_can_be_undone(admin: FlaskClient, database: Database) -> None:
    address = planned(database, starts_at=utc_now() + timedelta(seconds=30))
    page = text_of(admin.get(address).text)
    assert "Starting soon" in page
    assert "Nothing has been sent. Until the provider accepts the first batch" in page

    undone = admin.post(f"{address}/undo", follow_redirects=True)

    assert "nothing was sent, and its stories are new again" in undone.text
    assert "Undone" in text_of(undone.text)
    assert admin.get(address).status_code == 404
    assert admin.post(f"{address}/undo").status_code == 404


def test_the_cancel_button_of_an_undone_send_reaches_no_later_send(
    admin: FlaskClient, database: Database
) -> None:
    """Its id is not given to the next send, on SQLite either."""
    undone = planned(database, starts_at=utc_now() + timedelta(seconds=30))
    admin.post(f"{undone}/undo")
    later = planned(database, starts_at=utc_now() + timedelta(seconds=30))

    assert later != undone
    assert admin.post(f"{undone}/cancel").status_code == 404
    with database.reading() as session:
        assert session.scalars(select(Send.state)).all() == [SendState.SENDING]


def test_a_send_with_posted_batches_cannot_be_undone(
    admin: FlaskClient, database: Database
) -> None:
    address = planned(database)
    make_batch_undecided(database)

    assert "/undo" not in admin.get(address).text
    answer = admin.post(f"{address}/undo", follow_redirects=True)
    assert "It is too late to undo this send: " in text_of(answer.text)
    assert state_of(database) is SendState.SENDING


def test_an_estimate_is_shown_only_once_batches_are_done(
    admin: FlaskClient, database: Database
) -> None:
    address = planned(database, "a@example.com", "b@example.com")
    assert "No estimate yet." in admin.get(address).text

    with database.transaction() as session:
        batch = session.scalars(select(Batch)).one()
        batches.split_batch(session, batch.id, batch.last_subscriber_id)
        done = session.get_one(Batch, batch.id, populate_existing=True)
        done.state, done.settled_at = BatchState.ACCEPTED, utc_now() - timedelta(seconds=60)

    assert "finished at about" in admin.get(address).text


def test_send_limits_are_shown_instead_of_an_estimate(
    app: Flask, admin: FlaskClient, database: Database, services: Services
) -> None:
    limited = services.settings.model_copy(update={"send_rate": 14.0, "send_per_day": 2000})
    app.extensions["nif"] = replace(services, settings=limited)

    page = text_of(admin.get(planned(database)).text)

    assert "Limited by the settings: at most 14 a second, at most 2,000 a day." in page
    assert "estimate" not in page


def test_a_deadline_is_set_in_the_time_zone_of_the_list(
    admin: FlaskClient, database: Database
) -> None:
    address = planned(database)

    admin.post(f"{address}/deadline", data={"moment": "2099-07-01T09:30"})
    with database.reading() as session:
        assert session.get_one(Send, 1).not_after == datetime(2099, 7, 1, 8, 30, tzinfo=UTC)
    assert 'value="2099-07-01T09:30"' in admin.get(address).text

    admin.post(f"{address}/deadline", data={"moment": ""})
    with database.reading() as session:
        assert session.get_one(Send, 1).not_after is None


@pytest.mark.parametrize("typed", ["soon", "2001-01-01T10:00", "9999-12-31T23:59", "0001-01-01"])
def test_an_invalid_deadline_is_reported_beside_its_field(
    admin: FlaskClient, database: Database, typed: str
) -> None:
    address = planned(database)

    page = admin.post(f"{address}/deadline", data={"moment": typed})

    assert page.status_code == 422
    assert 'id="moment-problem"' in page.text
    assert f'value="{typed}"' in page.text
    assert "refresh" not in page.text


def test_a_finished_send_has_no_controls(admin: FlaskClient, database: Database) -> None:
    address = planned(database, state=SendState.FINISHED, finished_at=NOON)
    with database.transaction() as session:
        session.execute(update(Batch).values(state=BatchState.ACCEPTED))

    page = admin.get(address)

    assert "refresh" not in page.text
    assert "Accepted 3" in text_of(page.text)
    assert f"{address}/pause" not in page.text


@pytest.mark.parametrize(
    ("cause", "state", "advice"),
    [
        (SendStopCause.MANUAL, "Paused", "it continues where it stopped"),
        (SendStopCause.CONTENT, "Stopped: needs you", "its text is frozen"),
        (SendStopCause.TOO_LARGE, "Stopped: needs you", "smaller digest"),
        (SendStopCause.TOO_LATE, "Stopped: needs you", "If it is outdated, cancel"),
        (SendStopCause.COMPLAINTS, "Stopped: needs you", "why readers did not expect this email"),
        (SendStopCause.BOUNCES, "Stopped: needs you", "where the list came from"),
        (SendStopCause.FAULT, "Stopped: needs you", "worker’s log"),
        (SendStopCause.REFUSALS, "Stopped: needs you", "the refused are tried again"),
        (SendStopCause.UNBALANCED, "Stopped: needs you", "Report this"),
        (None, "Paused", "it continues where it stopped"),
    ],
)
def test_a_paused_send_explains_why_and_can_be_resumed(
    admin: FlaskClient, database: Database, cause: SendStopCause | None, state: str, advice: str
) -> None:
    address = planned(
        database, state=SendState.PAUSED, stop_cause=cause, stop_detail="What happened."
    )

    page = admin.get(address)

    assert f"{state}: What happened." in text_of(page.text)
    assert advice in text_of(page.text)
    assert "refresh" not in page.text
    assert f'action="{address}/resume"' in page.text
    assert f'action="{address}/pause"' not in page.text


def test_each_action_reports_how_many_copies_have_left_and_may(
    admin: FlaskClient, database: Database
) -> None:
    address = planned(database)
    make_batch_undecided(database)

    for button, message in (("pause", "Paused."), ("resume", "Resumed"), ("cancel", "Cancelled.")):
        page = text_of(admin.post(f"{address}/{button}", follow_redirects=True).text)
        assert message in page
        assert "At least 0 and up to 3 of 3 copies have left: 3 are being posted" in page


def test_a_stopped_send_says_how_many_may_have_left_until_that_is_known(
    admin: FlaskClient, database: Database
) -> None:
    claimed = claimed_batch(database, planned_send(database, count=3))
    address = f"/admin/sends/{claimed.send_id}"
    assert "up to 3 of 3 copies" in text_of(admin.get(f"{address}/cancel").text)

    cancelled = admin.post(f"{address}/cancel", follow_redirects=True).text
    assert text_of(cancelled).count("At least 0 and up to 3 of 3 copies have left") == 2
    assert "This page updates automatically" in cancelled
    assert "At least 0 and up to 3" in text_of(admin.get("/admin/sends").text)

    accept(database, claimed)
    settled = admin.get(address).text
    assert "3 of 3 copies have left." in text_of(settled)
    assert "up to 3" not in text_of(settled)
    assert "This page updates automatically" not in settled


def test_a_cancelled_send_says_what_waits_at_the_provider_and_what_was_recalled() -> None:
    waiting = Departures(6000, gone=2550, waiting=1000, open=200, is_cancelled=True)
    assert send_status.describe_departures(waiting) == (
        "At least 2,550 and up to 3,750 of 6,000 copies have left: 1,000 wait at SendGrid and 200 "
        "are being posted or are undecided. NIF recalls those that wait there, as long as SendGrid "
        "allows it."
    )
    settled = Departures(6000, gone=2750, recalled=1000, is_cancelled=True)
    assert send_status.describe_departures(settled) == (
        "2,750 of 6,000 copies have left. 1,000 were recalled from SendGrid before they went out."
    )


def test_staff_are_told_that_subscribers_were_mailed_twice(
    admin: FlaskClient, database: Database
) -> None:
    claimed = mailed_twice(database)
    with database.transaction() as session:
        session.execute(update(Send).values(created_at=utc_now()))
    address = f"/admin/sends/{claimed.send_id}"

    assert "3 subscribers were mailed twice" in text_of(admin.get(address).text)
    overview = text_of(admin.get("/admin/").text)
    assert "A send needs attention" in overview
    assert "3 subscribers were mailed twice." in overview
    assert "undecided and need your decision" not in overview
    certificate = text_of(admin.get(f"{address}/certificate").text)
    assert "Not complete. 3 subscribers were mailed twice" in certificate
    assert "Mailed twice of those accepted, by two or more attempts 3" in certificate
    assert admin.get(f"{address}/certificate.json").json["twice"] == 3  # type: ignore[index]


def test_a_send_is_paused_and_resumed_and_repeated_requests_are_refused(
    admin: FlaskClient, database: Database
) -> None:
    address = planned(database)

    assert "Paused." in admin.post(f"{address}/pause", follow_redirects=True).text
    assert state_of(database) is SendState.PAUSED
    again = admin.post(f"{address}/pause", follow_redirects=True)
    assert "already. Nothing was changed." in again.text

    assert "Resumed" in admin.post(f"{address}/resume", follow_redirects=True).text
    assert state_of(database) is SendState.SENDING


def test_cancelling_needs_confirmation_and_is_final(admin: FlaskClient, database: Database) -> None:
    address = planned(database)

    confirmation = text_of(admin.get(f"{address}/cancel").text)
    assert "3 subscribers have not been sent this yet" in confirmation
    assert state_of(database) is SendState.SENDING

    cancelled = text_of(admin.post(f"{address}/cancel", follow_redirects=True).text)
    assert "Cancelled." in cancelled
    assert "Not sent 3" in cancelled
    assert "already" in admin.post(f"{address}/resume", follow_redirects=True).text
    assert "This send is over" in admin.get(f"{address}/cancel").text
    assert state_of(database) is SendState.CANCELLED


def test_an_undecided_batch_shows_when_silence_will_settle_it_and_how_earlier_ones_ended(
    admin: FlaskClient, database: Database
) -> None:
    earlier = uncertain_batch(database, now=NOON - timedelta(hours=2))
    release(database, earlier, now=NOON - timedelta(hours=1))
    now = utc_now()
    claimed = uncertain_batch(database, now=now - timedelta(minutes=5))
    watch_stream(database, now - timedelta(minutes=5), now)

    page = text_of(admin.get(f"/admin/sends/{claimed.send_id}").text)

    assert "Event stream working: 3 of 3 canaries were heard of" in page
    assert "it counts as not accepted and is sent again, on" in page
    assert "Earlier doubts of the last 1, the provider had accepted 0" in page


@pytest.mark.parametrize(("button", "accepted"), [("accepted", 3), ("not-sent", 0)])
def test_an_admin_resolves_an_undecided_batch(
    admin: FlaskClient, database: Database, button: str, accepted: int
) -> None:
    address = planned(database)
    batch = make_batch_undecided(database)
    shown = admin.get(address).text
    attempt = shown.partition('name="attempt" value="')[2].partition('"')[0]
    page = text_of(shown)
    for fact in (
        "3 copies needs your decision",
        "by mail-2/81",
        "Answer no whole answer came",
        "Events since about 0 of 3 copies",
        "Event stream silent: none of 0 canaries",
        "the event stream was not watched without a gap",
        "SendGrid repeats missed events until",
        "Fence none",
        "@example.com , ",
    ):
        assert fact in page
    assert "gets it twice" in page or "get it twice" in page

    resolved = admin.post(
        f"{address}/batches/{batch}", data={"as": button, "attempt": attempt}, follow_redirects=True
    )

    assert "Recorded as" in resolved.text
    with database.reading() as session:
        assert count_deliveries(session, session.get_one(Send, 1)).accepted == accepted
    again = admin.post(
        f"{address}/batches/{batch}", data={"as": button, "attempt": attempt}, follow_redirects=True
    )
    assert "no longer undecided" in again.text


def test_a_resolution_without_a_choice_changes_nothing(
    admin: FlaskClient, database: Database
) -> None:
    address = planned(database)
    batch = make_batch_undecided(database)

    page = admin.post(f"{address}/batches/{batch}", follow_redirects=True)

    assert "Nothing was changed" in page.text
    with database.reading() as session:
        assert count_deliveries(session, session.get_one(Send, 1)).undecided == 3


def test_refused_addresses_are_listed_with_the_reason(
    admin: FlaskClient, database: Database
) -> None:
    address = planned(database, "bad@example.com", "good@example.com")
    with database.transaction() as session:
        batch = session.scalars(select(Batch)).one()
        batch.refused = 1
        refused = {
            "outcome": DeliveryOutcome.REFUSED,
            "reason": "Does not contain a valid address.",
        }
        session.execute(
            update(Delivery)
            .where(Delivery.subscriber_id == batch.first_subscriber_id)
            .values(refused)
        )

    page = text_of(admin.get(address).text)

    assert "bad@example.com Does not contain a valid address." in page
    assert "good@example.com" not in page
    assert "Refused 1" in page


def test_reported_events_are_shown_and_the_limits_if_a_rate_is_too_high(
    admin: FlaskClient, database: Database
) -> None:
    address = planned(database)
    with database.transaction() as session:
        for kind, count in (("delivered", 2000), ("bounce", 60), ("a_new_kind", 3)):
            session.add(SendEventCount(send_id=1, kind=kind, count=count))

    page = text_of(admin.get(address).text)

    assert "Bounced 60" in page
    assert "a_new_kind 3" in page
    assert "Complaints Good 0%" in page
    assert "Bounces Too high 2.9%" in page
    assert "NIF pauses a send automatically at 0.1% complaints or 5% bounces" in page


@pytest.mark.parametrize("where", ["999", f"{2**63 - 1}", "99999999999999999999", "1x"])
def test_an_unknown_send_is_not_found(admin: FlaskClient, where: str) -> None:
    assert admin.get(f"/admin/sends/{where}").status_code == 404
    assert admin.get(f"/admin/sends/{where}/cancel").status_code == 404
    assert admin.post(f"/admin/sends/{where}/pause").status_code == 404
    assert admin.post(f"/admin/sends/1/batches/{where}", data={"as": "not-sent"}).status_code == 404


def test_an_undone_correction_is_left_to_the_next_digest(
    admin: FlaskClient, database: Database, services: Services
) -> None:
    with database.transaction() as session:
        daily = a_list(session)
        readers(session, daily, "ann", "bob")
        wrong = a_story(session, at=NOON - HOUR)
        mailed(session, services, daily)
        corrected(session, wrong)
        (send,) = mail_what_is_due(session, services)
        path = send.edition.path
    address = f"/admin/sends/{send.id}"

    page = admin.get(address)
    assert "the list’s next digest then contains the correction" in page.text
    assert f'href="/newsletters/daily/{path}"' in page.text
    assert "Audience 2 received the error" in text_of(page.text)
    assert "the list’s next digest contains this correction" in text_of(
        admin.get(f"{address}/cancel").text
    )
    assert admin.get(f"{address}/certificate").status_code == 200

    undone = admin.post(f"{address}/undo", follow_redirects=True)

    assert "nothing was sent, and the next digest contains the correction" in undone.text
    assert "Undone before anything was sent" in undone.text
    with database.reading() as session:
        assert len(list_due_corrections(session, daily, now=LATER)) == 1


def test_a_send_with_a_withdrawn_story_is_frozen_again_or_cancelled(
    admin: FlaskClient, database: Database, services: Services
) -> None:
    with database.transaction() as session:
        daily = a_list(session)
        readers(session, daily, *"abcd")
        a_story(session, headline="All Is Well", at=NOON - 2 * HOUR)
        wrong = a_story(session, headline="Palisade Sells", at=NOON - HOUR)
        send = planned_digest(session, services, daily)
        posted(session, send, BatchState.ACCEPTED, BatchState.PLANNED)
        corrected(session, wrong, ChangeKind.RETRACTION)
        control.pause_withdrawn_sends(session)
        send.not_after = None
    address = f"/admin/sends/{send.id}"

    page = admin.get(address)
    assert "“Palisade Sells” was retracted after this edition was frozen." in text_of(page.text)
    assert f'href="{address}/refreeze"' in page.text
    assert f'action="{address}/resume"' not in page.text
    refused = admin.post(f"{address}/resume", follow_redirects=True)
    assert "so nobody else is mailed that" in text_of(refused.text)
    asked = admin.get(f"{address}/refreeze")
    assert "2 subscribers get the new version" in text_of(asked.text)
    stale = admin.post(f"{address}/refreeze", data={"without": "999"}, follow_redirects=True)
    assert "have changed since you opened this page" in stale.text

    done = admin.post(
        f"{address}/refreeze", data={"without": str(wrong.story_id)}, follow_redirects=True
    )

    assert "Frozen again, as version 2 for the rest." in text_of(done.text)
    assert "Versions of this edition" in done.text
    assert "version 2 (accepted 0" in text_of(admin.get(f"{address}/certificate").text)
    assert "froze again" in text_of(admin.get("/admin/audit-log").text)
    archive = text_of(admin.get("/newsletters/daily/2026-11-20").text)
    assert "Left out of version 2 of this edition" in archive
    assert "Version 1: sent to 2 subscribers." in archive
    with database.reading() as session:
        assert session.get_one(Send, send.id).state is SendState.SENDING
