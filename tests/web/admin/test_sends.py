"""A send on the desk: its figures, its trouble, and a person's hand on it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from nif.clock import utc_now
from nif.database import Database
from nif.editions.correction_editions import list_due_corrections
from nif.sends import batches
from nif.sends.certificates import count_deliveries
from nif.sends.models import (
    Attempt,
    AttemptResult,
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
from tests.conftest import NOON
from tests.factories import a_list, a_plain_send, a_story
from tests.sends.test_correction_sends import (
    HOUR,
    LATER,
    corrected,
    mail_what_is_due,
    mailed,
    readers,
)
from tests.web.newsroom.staff import text_of


def planned(database: Database, *addresses: str, **changes: object) -> str:
    """The address of the page of a fresh send to three readers, or to these."""
    with database.transaction() as session:
        send = a_plain_send(session, *addresses, count=0 if addresses else 3)
        for name, value in changes.items():
            setattr(send, name, value)
        return f"/admin/sends/{send.id}"


def unsettled(database: Database) -> int:
    """Make the only batch a held one; its id."""
    with database.transaction() as session:
        batch = session.scalars(select(Batch)).one()
        session.add(
            Lease(id="l", send_id=batch.send_id, holder="mail-2/81", taken_at=NOON, beaten_at=NOON)
        )
        attempt = Attempt(
            id="a" * 32,
            send_id=batch.send_id,
            batch_id=batch.id,
            lease_id="l",
            first=batch.first,
            last=batch.last,
            copies=batch.size,
            begun_at=NOON,
            result=AttemptResult.UNCERTAIN,
            why="no whole answer came",
        )
        session.add(attempt)
        batch.state, batch.attempt_id = BatchState.HELD, attempt.id
        return batch.id


def state_of(database: Database) -> SendState:
    with database.reading() as session:
        return session.get_one(Send, 1).state


def test_a_send_under_way_renews_itself_unless_it_is_kept_still(
    admin: FlaskClient, database: Database
) -> None:
    address = planned(database)

    moving = admin.get(address)
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in moving.text
    assert f'data-from="{address}/progress"' in moving.text
    assert "Waiting 3" in text_of(moving.text)
    assert "Audience 3" in text_of(moving.text)
    still = admin.get(f"{address}?still=1")
    assert "refresh" not in still.text
    assert "<script" not in still.text
    assert "This page stays as it is." in still.text


def test_whoever_watches_gets_the_progress_only_where_it_has_changed(
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


def test_a_send_that_has_not_begun_can_be_taken_back(
    admin: FlaskClient, database: Database
) -> None:
    address = planned(database, starts_at=utc_now() + timedelta(seconds=30))
    page = text_of(admin.get(address).text)
    assert "About to begin" in page
    assert "Nothing has left. Until the first batch is posted" in page

    done = admin.post(f"{address}/undo", follow_redirects=True)

    assert "nobody was mailed, and its stories are news again" in done.text
    assert "Taken back" in text_of(done.text)
    assert admin.get(address).status_code == 404
    assert admin.post(f"{address}/undo").status_code == 404


def test_what_has_left_cannot_be_taken_back(admin: FlaskClient, database: Database) -> None:
    address = planned(database)
    unsettled(database)

    assert "Take it back" not in admin.get(address).text
    told = admin.post(f"{address}/undo", follow_redirects=True)
    assert "It is too late to take it back" in text_of(told.text)
    assert state_of(database) is SendState.SENDING


def test_an_estimate_is_given_only_where_it_is_honest(
    admin: FlaskClient, database: Database
) -> None:
    address = planned(database, "a@example.com", "b@example.com")
    assert "No honest estimate yet." in admin.get(address).text

    with database.transaction() as session:
        batch = session.scalars(select(Batch)).one()
        batches.split_batch(session, batch.id, batch.last)
        done = session.get_one(Batch, batch.id, populate_existing=True)
        done.state, done.settled_at = BatchState.ACCEPTED, utc_now() - timedelta(seconds=60)

    assert "it is through at about" in admin.get(address).text


def test_the_houses_own_limits_are_said_and_end_the_guessing(
    app: Flask, admin: FlaskClient, database: Database, parts: Services
) -> None:
    limited = parts.settings.model_copy(update={"send_rate": 14.0, "send_per_day": 2000})
    app.extensions["nif"] = replace(parts, settings=limited)

    page = text_of(admin.get(planned(database)).text)

    assert "The house limits its own pace: at most 14 a second, at most 2,000 a day." in page
    assert "estimate" not in page


def test_a_time_limit_is_set_on_the_clock_of_the_list(
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
def test_a_wrong_time_limit_is_told_beside_its_field(
    admin: FlaskClient, database: Database, typed: str
) -> None:
    address = planned(database)

    page = admin.post(f"{address}/deadline", data={"moment": typed})

    assert page.status_code == 422
    assert 'id="moment-problem"' in page.text
    assert f'value="{typed}"' in page.text
    assert "refresh" not in page.text


def test_a_finished_send_has_nothing_to_press(admin: FlaskClient, database: Database) -> None:
    address = planned(database, state=SendState.FINISHED, finished_at=NOON)
    with database.transaction() as session:
        session.execute(update(Batch).values(state=BatchState.ACCEPTED))

    page = admin.get(address)

    assert "refresh" not in page.text
    assert "Accepted 3" in text_of(page.text)
    assert f"{address}/pause" not in page.text


@pytest.mark.parametrize(
    ("cause", "kind", "todo"),
    [
        (SendStopCause.BY_HAND, "Paused", "it continues where it stopped"),
        (SendStopCause.CONTENT, "Deciding", "its text is frozen"),
        (SendStopCause.TOO_LARGE, "Deciding", "smaller digest"),
        (SendStopCause.TOO_LATE, "Deciding", "If it is old news by now, cancel"),
        (SendStopCause.COMPLAINTS, "Deciding", "why readers did not expect this mail"),
        (SendStopCause.BOUNCES, "Deciding", "where the list came from"),
        (SendStopCause.FAULT, "Deciding", "worker’s log"),
        (SendStopCause.UNBALANCED, "Deciding", "Report this"),
        (None, "Paused", "it continues where it stopped"),
    ],
)
def test_a_paused_send_says_why_what_to_do_and_can_go_on(
    admin: FlaskClient, database: Database, cause: SendStopCause | None, kind: str, todo: str
) -> None:
    address = planned(database, state=SendState.PAUSED, cause=cause, trouble="What happened.")

    page = admin.get(address)

    assert f"{kind}: What happened." in text_of(page.text)
    assert todo in text_of(page.text)
    assert "refresh" not in page.text
    assert f'action="{address}/resume"' in page.text
    assert f'action="{address}/pause"' not in page.text


def test_what_was_done_is_told_with_the_exact_count_of_what_had_left(
    admin: FlaskClient, database: Database
) -> None:
    address = planned(database)
    unsettled(database)

    for button, said in (("pause", "Paused."), ("resume", "It goes on"), ("cancel", "Cancelled.")):
        page = text_of(admin.post(f"{address}/{button}", follow_redirects=True).text)
        assert said in page
        assert "3 of 3 copies had left, 3 of them uncertain." in page


def test_a_send_is_paused_goes_on_and_a_second_click_is_told(
    admin: FlaskClient, database: Database
) -> None:
    address = planned(database)

    assert "Paused." in admin.post(f"{address}/pause", follow_redirects=True).text
    assert state_of(database) is SendState.PAUSED
    again = admin.post(f"{address}/pause", follow_redirects=True)
    assert "already. Nothing was changed." in again.text

    assert "It goes on" in admin.post(f"{address}/resume", follow_redirects=True).text
    assert state_of(database) is SendState.SENDING


def test_cancelling_is_asked_about_and_final(admin: FlaskClient, database: Database) -> None:
    address = planned(database)

    asked = text_of(admin.get(f"{address}/cancel").text)
    assert "3 readers have not been mailed yet and will not be" in asked
    assert state_of(database) is SendState.SENDING

    done = text_of(admin.post(f"{address}/cancel", follow_redirects=True).text)
    assert "Cancelled." in done
    assert "Not mailed 3" in done
    assert "already" in admin.post(f"{address}/resume", follow_redirects=True).text
    assert "This send is over" in admin.get(f"{address}/cancel").text
    assert state_of(database) is SendState.CANCELLED


@pytest.mark.parametrize(("button", "accepted"), [("accepted", 3), ("unsent", 0)])
def test_a_person_decides_about_an_uncertain_batch(
    admin: FlaskClient, database: Database, button: str, accepted: int
) -> None:
    address = planned(database)
    batch = unsettled(database)
    shown = admin.get(address).text
    attempt = shown.partition('name="attempt" value="')[2].partition('"')[0]
    page = text_of(shown)
    for fact in (
        "3 copies yours to decide",
        "by mail-2/81",
        "Answer no whole answer came",
        "no: no event about it has come in",
        "Stream of events silent",
        "after 30 minutes",
        "Fence none",
        "@example.com , ",
    ):
        assert fact in page
    assert "gets it twice" in page or "get it twice" in page

    noted = admin.post(
        f"{address}/batches/{batch}", data={"as": button, "attempt": attempt}, follow_redirects=True
    )

    assert "Noted as" in noted.text
    with database.reading() as session:
        assert count_deliveries(session, session.get_one(Send, 1)).accepted == accepted
    again = admin.post(
        f"{address}/batches/{batch}", data={"as": button, "attempt": attempt}, follow_redirects=True
    )
    assert "not uncertain any more" in again.text


def test_a_decision_that_says_nothing_changes_nothing(
    admin: FlaskClient, database: Database
) -> None:
    address = planned(database)
    batch = unsettled(database)

    page = admin.post(f"{address}/batches/{batch}", follow_redirects=True)

    assert "Nothing was changed" in page.text
    with database.reading() as session:
        assert count_deliveries(session, session.get_one(Send, 1)).uncertain == 3


def test_whoever_was_refused_is_listed_with_the_reason(
    admin: FlaskClient, database: Database
) -> None:
    address = planned(database, "bad@example.com", "good@example.com")
    with database.transaction() as session:
        batch = session.scalars(select(Batch)).one()
        batch.refused = 1
        refused = {"outcome": DeliveryOutcome.REFUSED, "why": "Does not contain a valid address."}
        session.execute(
            update(Delivery).where(Delivery.subscriber_id == batch.first).values(refused)
        )

    page = text_of(admin.get(address).text)

    assert "bad@example.com Does not contain a valid address." in page
    assert "good@example.com" not in page
    assert "Refused 1" in page


def test_what_the_provider_reported_is_shown_with_a_warning_where_it_is_too_much(
    admin: FlaskClient, database: Database
) -> None:
    address = planned(database)
    with database.transaction() as session:
        for kind, count in (("delivered", 2000), ("bounce", 60), ("a_new_kind", 3)):
            session.add(SendEventCount(send_id=1, kind=kind, count=count))

    page = text_of(admin.get(address).text)

    assert "Bounced 60" in page
    assert "a_new_kind 3" in page
    assert "Higher than it should be:" in page
    assert "2.9&nbsp;% bounces" in page


@pytest.mark.parametrize("where", ["999", f"{2**63 - 1}", "99999999999999999999", "1x"])
def test_a_send_that_is_not_there_is_a_page(admin: FlaskClient, where: str) -> None:
    assert admin.get(f"/admin/sends/{where}").status_code == 404
    assert admin.get(f"/admin/sends/{where}/cancel").status_code == 404
    assert admin.post(f"/admin/sends/{where}/pause").status_code == 404
    assert admin.post(f"/admin/sends/1/batches/{where}", data={"as": "unsent"}).status_code == 404


def test_a_correction_that_is_taken_back_is_left_to_the_next_digest(
    admin: FlaskClient, database: Database, parts: Services
) -> None:
    with database.transaction() as session:
        daily = a_list(session)
        readers(session, daily, "ann", "bob")
        wrong = a_story(session, at=NOON - HOUR)
        mailed(session, parts, daily)
        corrected(session, wrong)
        (send,) = mail_what_is_due(session, parts)
        path = send.edition.path
    address = f"/admin/sends/{send.id}"

    page = admin.get(address)
    assert "the list’s next digest tells it instead" in page.text
    assert f'href="/newsletters/daily/{path}"' in page.text
    assert "Audience 2 were mailed what was wrong" in text_of(page.text)
    assert "no digest tells this correction" in text_of(admin.get(f"{address}/cancel").text)
    assert admin.get(f"{address}/certificate").status_code == 200

    taken = admin.post(f"{address}/undo", follow_redirects=True)

    assert "nobody was mailed, and the next digest tells it instead" in taken.text
    assert "Taken back before anyone was mailed" in taken.text
    with database.reading() as session:
        assert len(list_due_corrections(session, daily, now=LATER)) == 1
