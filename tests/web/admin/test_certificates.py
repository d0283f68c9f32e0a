"""The certificate of a send, and its deliveries one by one."""

import csv
import io

import pytest
from flask.testing import FlaskClient
from sqlalchemy import insert, select, update

from nif.database import Database
from nif.sends.certificates import DeliveryStatus, delivery_statuses_as_csv
from nif.sends.models import (
    Attempt,
    Batch,
    BatchState,
    Delivery,
    DeliveryOutcome,
    ProviderEvent,
    Send,
    SendState,
)
from tests.conftest import NOON
from tests.factories import a_plain_send
from tests.web.newsroom.staff import text_of


def finished_send(database: Database, *addresses: str, count: int = 0) -> str:
    """The address of a finished send: one delivery was refused, all others were accepted."""
    with database.transaction() as session:
        send = a_plain_send(session, *addresses, count=count)
        batch = session.scalars(select(Batch)).one()
        ends = {
            "first_subscriber_id": batch.first_subscriber_id,
            "last_subscriber_id": batch.last_subscriber_id,
            "copies": batch.size,
        }
        own = {"id": "a" * 32, "send_id": send.id, "batch_id": batch.id, "lease_id": "l"}
        session.execute(insert(Attempt).values(started_at=NOON, **ends, **own))
        refused = {"outcome": DeliveryOutcome.REFUSED, "reason": "No such mailbox."}
        one = Delivery.subscriber_id == batch.first_subscriber_id
        session.execute(update(Delivery).where(one).values(refused))
        batch.state, batch.attempt_id, batch.refused = BatchState.ACCEPTED, "a" * 32, 1
        send.state = SendState.FINISHED
        return f"/admin/sends/{send.id}"


def test_a_certificate_is_complete_if_every_status_is_known(
    admin: FlaskClient, database: Database
) -> None:
    address = finished_send(database, "bad@example.com", count=4)

    page = text_of(admin.get(f"{address}/certificate").text)

    assert "Complete. Of 5 subscribers" in page
    assert "Refused the provider refused the address 1 No such mailbox. 1" in page
    assert "Not complete" not in page
    document = admin.get(f"{address}/certificate.json").json
    assert document is not None
    assert (document["complete"], document["accepted"], document["total"]) == (True, 4, 5)
    assert document["deliveries_sha256"] in page


def test_an_incomplete_certificate_says_why(admin: FlaskClient, database: Database) -> None:
    address = finished_send(database, count=3)
    for state, sentence in (
        (BatchState.AWAITING_DECISION, "2 are undecided"),
        (BatchState.PLANNED, "2 are pending."),
    ):
        with database.transaction() as session:
            session.execute(update(Batch).values(state=state))
        page = text_of(admin.get(f"{address}/certificate").text)
        assert "Not complete." in page
        assert sentence in page
        assert "Complete. Of" not in page

    with database.transaction() as session:
        session.execute(update(Send).values(state=SendState.CANCELLED))
        session.execute(update(Batch).values(refused=0))
    page = text_of(admin.get(f"{address}/certificate").text)
    assert "because the send was cancelled" in page
    assert "The records do not add up" in page


def test_deliveries_are_downloaded_as_csv_without_formulas(
    admin: FlaskClient, database: Database
) -> None:
    address = finished_send(database, "+bad@example.com", "good@example.com")

    answer = admin.get(f"{address}/deliveries.csv")

    assert answer.mimetype == "text/csv"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["address"], row["status"], row["reason"]) for row in rows] == [
        ("'+bad@example.com", "refused", "No such mailbox."),
        ("good@example.com", "accepted", ""),
    ]


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@a", "\ta", "\ra"])
def test_cells_that_begin_like_a_formula_are_escaped(cell: str) -> None:
    text = "".join(delivery_statuses_as_csv([DeliveryStatus(1, cell, "refused", cell, None)]))

    row = list(csv.reader(io.StringIO(text, newline="")))[1]
    assert row == ["1", f"'{cell}", "refused", f"'{cell}", "", ""]


def test_deliveries_are_paged_by_subscriber_id(admin: FlaskClient, database: Database) -> None:
    address = finished_send(database, count=130)

    first = admin.get(f"{address}/deliveries").text
    assert first.count('<td class="address">') == 100
    following = first.partition(f'href="{address}/deliveries?after=')[2].partition('"')[0]
    second = admin.get(f"{address}/deliveries?after={following}").text
    assert second.count('<td class="address">') == 30
    assert "Next 100" not in second
    assert admin.get(f"{address}/deliveries?after=99999999999999999999").status_code == 404


def test_a_delivery_is_found_by_address_with_its_events(
    admin: FlaskClient, database: Database
) -> None:
    address = finished_send(database, "bad@example.com", "Good@example.com")
    with database.transaction() as session:
        good = session.scalars(select(Batch.last_subscriber_id)).one()
        about = {"attempt_id": "a" * 32, "happened_at": NOON, "received_at": NOON}
        session.add(ProviderEvent(id="1", kind="delivered", subscriber_id=good, **about))
        session.add(ProviderEvent(id="2", kind="bounce", subscriber_id=good - 1, **about))

    page = text_of(admin.get(f"{address}/deliveries?address=good@EXAMPLE.com").text)
    assert "Good@example.com Accepted" in page
    assert "Delivered" in page
    assert "Bounced" not in page
    assert "bad@example.com" not in page
    unknown = admin.get(f"{address}/deliveries?address=nobody@example.com").text
    assert "nobody@example.com was not in the audience" in unknown
    assert "does not look like" in admin.get(f"{address}/deliveries?address=x").text


@pytest.mark.parametrize(
    "page", ["certificate", "certificate.json", "deliveries", "deliveries.csv"]
)
def test_an_unknown_send_has_no_certificate(admin: FlaskClient, page: str) -> None:
    assert admin.get(f"/admin/sends/999/{page}").status_code == 404
