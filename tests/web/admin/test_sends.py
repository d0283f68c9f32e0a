"""A send on the desk: its figures, its trouble, and a person's hand on it."""

from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update

from nif.clock import utc_now
from nif.database import Database
from nif.sends.certifying import tally
from nif.sends.models import (
    Attempt,
    AttemptResult,
    Batch,
    BatchState,
    Delivery,
    Outcome,
    Send,
    SendState,
)
from tests.conftest import NOON
from tests.factories import a_plain_send
from tests.web.newsroom.staff import text_of


def planned(database: Database, *addresses: str, **changes: object) -> str:
    """The address of the page of a fresh send to three readers, or to these."""
    with database.transaction() as session:
        send = a_plain_send(session, *addresses, count=0 if addresses else 3)
        for name, value in changes.items():
            setattr(send, name, value)
        return f"/admin/sends/{send.id}"


def unsettled(database: Database) -> int:
    """Make the only batch an uncertain one; its id."""
    with database.transaction() as session:
        batch = session.scalars(select(Batch)).one()
        why = "no whole answer came"
        attempt = Attempt(
            id="a" * 32, batch_id=batch.id, begun_at=NOON, result=AttemptResult.UNCERTAIN, why=why
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
    assert moving.headers["Refresh"] == "5"
    assert "Waiting 3" in text_of(moving.text)
    assert "Audience 3" in text_of(moving.text)
    still = admin.get(f"{address}?still=1")
    assert "Refresh" not in still.headers
    assert "This page stays as it is." in still.text


def test_a_finished_send_has_nothing_to_press(admin: FlaskClient, database: Database) -> None:
    address = planned(database, state=SendState.FINISHED, finished_at=NOON)
    with database.transaction() as session:
        session.execute(update(Batch).values(state=BatchState.ACCEPTED))

    page = admin.get(address)

    assert "Refresh" not in page.headers
    assert "Accepted 3" in text_of(page.text)
    assert f"{address}/pause" not in page.text


@pytest.mark.parametrize(
    ("trouble", "kind", "todo"),
    [
        ("SendGrid answered 401: bad key", "Retrying", "Check NIF_SENDGRID_API_KEY"),
        ("SendGrid answered 403: no", "Retrying", "Mail Send"),
        ("SendGrid answered 402: pay", "Retrying", "credits"),
        ("SendGrid asked us to slow down (429)", "Waiting", "Nothing to do"),
        ("SendGrid cannot be reached (NewConnectionError)", "Retrying", "network"),
        ("SendGrid answered 500, 5 times in a row", "Retrying", "status.sendgrid.com"),
        ("no whole answer came from SendGrid (X), 5 times in a row", "Retrying", "events"),
        ("the worker was held up", "Retrying", "worker’s log"),
    ],
)
def test_a_send_in_trouble_says_which_what_it_means_and_when_it_goes_on(
    admin: FlaskClient, database: Database, trouble: str, kind: str, todo: str
) -> None:
    soon = utc_now() + timedelta(minutes=5)
    page = text_of(admin.get(planned(database, trouble=trouble, not_before=soon)).text)

    assert f"{kind}: {trouble}" in page
    assert todo in page
    assert "Next try:" in page
    assert "Waiting to try again" in page
    assert "Try again now" in page


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        ("The mail itself was refused: no from", "Deciding"),
        ("The mail is too large for the provider.", "Deciding"),
        ("Paused by hand.", "Paused"),
    ],
)
def test_a_paused_send_says_why_and_can_go_on(
    admin: FlaskClient, database: Database, trouble: str, kind: str
) -> None:
    address = planned(database, state=SendState.PAUSED, trouble=trouble)

    page = admin.get(address)

    assert f"{kind}: {trouble}" in text_of(page.text)
    assert "Refresh" not in page.headers
    assert f'action="{address}/resume"' in page.text
    assert f'action="{address}/pause"' not in page.text


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
    assert "3 copies" in page
    assert "no whole answer came" in page
    assert "yours to decide" in page
    assert "gets it twice" in page or "get it twice" in page

    noted = admin.post(
        f"{address}/batches/{batch}", data={"as": button, "attempt": attempt}, follow_redirects=True
    )

    assert "Noted as" in noted.text
    with database.reading() as session:
        assert tally(session, session.get_one(Send, 1)).accepted == accepted
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
        assert tally(session, session.get_one(Send, 1)).uncertain == 3


def test_whoever_was_refused_is_listed_with_the_reason(
    admin: FlaskClient, database: Database
) -> None:
    address = planned(database, "bad@example.com", "good@example.com")
    with database.transaction() as session:
        batch = session.scalars(select(Batch)).one()
        batch.refused = 1
        refused = {"outcome": Outcome.REFUSED, "why": "Does not contain a valid address."}
        session.execute(
            update(Delivery).where(Delivery.subscriber_id == batch.first).values(refused)
        )

    page = text_of(admin.get(address).text)

    assert "bad@example.com Does not contain a valid address." in page
    assert "good@example.com" not in page
    assert "Refused 1" in page


@pytest.mark.parametrize("where", ["999", f"{2**63 - 1}", "99999999999999999999", "1x"])
def test_a_send_that_is_not_there_is_a_page(admin: FlaskClient, where: str) -> None:
    assert admin.get(f"/admin/sends/{where}").status_code == 404
    assert admin.get(f"/admin/sends/{where}/cancel").status_code == 404
    assert admin.post(f"/admin/sends/{where}/pause").status_code == 404
    assert admin.post(f"/admin/sends/1/batches/{where}", data={"as": "unsent"}).status_code == 404
