"""The suppression list: search, adding addresses, lifting, export."""

import csv
from io import StringIO

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from nif.accounts.audit_log import AuditEntry
from nif.database import Database
from nif.sends import periodic_tasks, suppression_sync
from nif.subscriptions.models import Suppression
from nif.subscriptions.models import SuppressionReason as Reason
from nif.subscriptions.suppression_list import record_erased_address, suppress_address
from tests.conftest import NOON
from tests.factories import a_list, a_subscription
from tests.web.newsroom.staff import text_of

PAGE = "/admin/suppressions"


@pytest.fixture
def suppressed(database: Database) -> None:
    with database.transaction() as session:
        a_subscription(session, a_list(session), "ann@example.com")
        suppress_address(
            session, "ann@example.com", Reason.MANUAL, source="manual: Asked.", now=NOON
        )
        suppress_address(session, "bo@example.com", Reason.BOUNCED, source="event bounce", now=NOON)
        suppress_address(session, "b_x@example.com", Reason.COMPLAINED, source="import:1", now=NOON)
        record_erased_address(session, "cy@example.com", source="test", now=NOON)


def addresses_shown(admin: FlaskClient, query: str = "") -> list[str]:
    page = admin.get(f"{PAGE}{query}").text
    return [one for one in ("ann@", "bo@", "b_x@", "cy@", "erased:") if f">{one}" in page]


@pytest.mark.usefixtures("suppressed")
def test_suppressions_are_searched_by_reason_and_prefix(admin: FlaskClient) -> None:
    assert addresses_shown(admin) == ["ann@", "bo@", "b_x@"]
    assert addresses_shown(admin, "?reason=bounced") == ["bo@"]
    assert addresses_shown(admin, "?begins=B_X") == ["b_x@"]
    assert addresses_shown(admin, "?begins=bo@example.com&reason=bounced") == ["bo@"]
    assert addresses_shown(admin, "?begins=o@example") == []
    page = text_of(admin.get(PAGE).text)
    for text in ("manual: Asked.", "1 more person has been erased", "not pushed to a provider"):
        assert text in page
    assert 'href="/admin/subscribers/1"' in admin.get(PAGE).text

    for wrong, message in (("begins=b", "at least 3"), ("reason=erased", "Choose one")):
        answer = admin.get(f"{PAGE}?{wrong}")
        assert (answer.status_code, message in answer.text) == (422, True)
    assert admin.get(f"{PAGE}?after=nowhere").status_code == 404


def test_an_empty_list_explains_how_addresses_are_added(admin: FlaskClient) -> None:
    assert "No addresses are suppressed yet" in text_of(admin.get(PAGE).text)


@pytest.mark.usefixtures("suppressed")
def test_each_pasted_address_is_checked(admin: FlaskClient, database: Database) -> None:
    new = f"{PAGE}/add"
    empty = admin.post(new, data={"addresses": " ", "reason": "x"})
    assert (empty.status_code, "at least one address" in empty.text) == (422, True)
    pasted = "Di <DI@Example.com>; bo@example.com\ncy@example.com nobody\n<b>"
    missing = admin.post(new, data={"addresses": pasted, "reason": " "})
    assert "Enter a reason" in missing.text
    assert "DI@Example.com" in missing.text

    some = admin.post(new, data={"addresses": pasted, "reason": "They wrote to us."})

    page = text_of(some.text)
    assert "1 address is now suppressed; 2 were already suppressed." in page
    assert "2 are not addresses: correct or remove them." in page
    assert ">\nnobody\nb</textarea>" in some.text
    with database.reading() as session:
        di = session.get_one(Suppression, "di@example.com")
        assert (di.reason, di.source) == (Reason.MANUAL, "manual: They wrote to us.")
        assert session.get_one(Suppression, "bo@example.com").reason is Reason.BOUNCED
        entries = session.execute(select(AuditEntry.action, AuditEntry.detail)).all()
    assert ("suppressions_added", {"added": 1, "already_there": 2}) in [
        tuple(entry) for entry in entries
    ]
    done = admin.post(
        new, data={"addresses": "ed@example.com", "reason": "x"}, follow_redirects=True
    )
    assert "1 address is now suppressed." in done.text


@pytest.mark.usefixtures("suppressed")
def test_only_manual_suppressions_are_lifted_after_confirmation(
    admin: FlaskClient, database: Database
) -> None:
    confirmation = admin.post(f"{PAGE}/lift", data={"address": "ann@example.com"})
    assert "Lift this suppression?" in confirmation.text
    for confirmed in ("", "yes"):
        refused = admin.post(
            f"{PAGE}/lift",
            data={"address": "bo@example.com", "confirmed": confirmed},
            follow_redirects=True,
        )
        assert "Nothing was changed." in refused.text
    assert admin.post(f"{PAGE}/lift", data={"address": "no@example.com"}).status_code == 404

    admin.post(f"{PAGE}/lift", data={"address": "ann@example.com", "confirmed": "yes"})

    assert addresses_shown(admin) == ["bo@", "b_x@"]
    with database.reading() as session:
        entries = session.execute(
            select(
                AuditEntry.action, AuditEntry.subject_kind, AuditEntry.subject_id, AuditEntry.detail
            )
        ).all()
    assert ("suppression_lifted", "subscriber", "1", None) in [tuple(entry) for entry in entries]
    assert not any("@example.com" in str(entry) for entry in entries)


@pytest.mark.usefixtures("suppressed")
def test_the_export_omits_erased_addresses_and_is_recorded(
    admin: FlaskClient, database: Database
) -> None:
    answer = admin.post(f"{PAGE}/export.csv", data={"reason": "", "begins": ""})
    rows = list(csv.reader(StringIO(answer.text)))
    assert [row[0] for row in rows[1:]] == ["bo@example.com", "b_x@example.com", "ann@example.com"]
    assert rows[1][1:3] == ["bounced", "event bounce"]
    assert "attachment" in answer.headers["Content-Disposition"]
    assert admin.post(f"{PAGE}/export.csv", data={"reason": "x"}).status_code == 422
    with database.reading() as session:
        assert session.scalars(select(AuditEntry.action)).all()[-1] == "suppressions_exported"


def test_a_failed_push_to_the_provider_is_explained(admin: FlaskClient, database: Database) -> None:
    with database.transaction() as session:
        periodic_tasks.begin_task_if_due(
            session, suppression_sync.PUSH_TASK, every=suppression_sync.PUSH_EVERY, now=NOON
        )
        periodic_tasks.record_task_result(
            session, suppression_sync.PUSH_TASK, "SendGrid answered 403: no", now=NOON
        )

    assert "give the API key the permission “Suppressions: full access”" in text_of(
        admin.get("/admin/").text
    )
