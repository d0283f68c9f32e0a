"""The list of whom the house mails no more: looked through, added to, lifted, taken out."""

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

WHERE = "/admin/suppressions"


@pytest.fixture
def barred(database: Database) -> None:
    with database.transaction() as session:
        a_subscription(session, a_list(session), "ann@example.com")
        suppress_address(
            session, "ann@example.com", Reason.MANUAL, source="manual: Asked.", now=NOON
        )
        suppress_address(session, "bo@example.com", Reason.BOUNCED, source="event bounce", now=NOON)
        suppress_address(session, "b_x@example.com", Reason.COMPLAINED, source="import:1", now=NOON)
        record_erased_address(session, "cy@example.com", source="test", now=NOON)


def shown(admin: FlaskClient, query: str = "") -> list[str]:
    page = admin.get(f"{WHERE}{query}").text
    return [one for one in ("ann@", "bo@", "b_x@", "cy@", "erased:") if f">{one}" in page]


@pytest.mark.usefixtures("barred")
def test_the_list_is_looked_through_by_reason_and_by_beginning(admin: FlaskClient) -> None:
    assert shown(admin) == ["ann@", "bo@", "b_x@"]
    assert shown(admin, "?reason=bounced") == ["bo@"]
    assert shown(admin, "?begins=B_X") == ["b_x@"]
    assert shown(admin, "?begins=bo@example.com&reason=bounced") == ["bo@"]
    assert shown(admin, "?begins=o@example") == []
    page = text_of(admin.get(WHERE).text)
    for words in ("manual: Asked.", "1 person was erased", "no provider to tell"):
        assert words in page
    assert 'href="/admin/subscribers/1"' in admin.get(WHERE).text

    for wrong, said in (("begins=b", "at least 3"), ("reason=erased", "Choose one")):
        answer = admin.get(f"{WHERE}?{wrong}")
        assert (answer.status_code, said in answer.text) == (422, True)
    assert admin.get(f"{WHERE}?after=nowhere").status_code == 404


def test_an_empty_list_says_how_addresses_come(admin: FlaskClient) -> None:
    assert "Nobody is suppressed yet" in text_of(admin.get(WHERE).text)


@pytest.mark.usefixtures("barred")
def test_a_pasted_list_is_checked_one_by_one(admin: FlaskClient, database: Database) -> None:
    new = f"{WHERE}/add"
    empty = admin.post(new, data={"addresses": " ", "reason": "x"})
    assert (empty.status_code, "at least one address" in empty.text) == (422, True)
    pasted = "Di <DI@Example.com>; bo@example.com\ncy@example.com nobody\n<b>"
    missing = admin.post(new, data={"addresses": pasted, "reason": " "})
    assert "Enter a reason" in missing.text
    assert "DI@Example.com" in missing.text

    some = admin.post(new, data={"addresses": pasted, "reason": "They wrote a letter."})

    said = text_of(some.text)
    assert "1 address is suppressed now; 2 were suppressed already." in said
    assert "2 are no addresses: put that right" in said
    assert ">\nnobody\nb</textarea>" in some.text
    with database.reading() as session:
        di = session.get_one(Suppression, "di@example.com")
        assert (di.reason, di.source) == (Reason.MANUAL, "manual: They wrote a letter.")
        assert session.get_one(Suppression, "bo@example.com").reason is Reason.BOUNCED
        acts = session.execute(select(AuditEntry.action, AuditEntry.detail)).all()
    assert ("suppressions_added", {"added": 1, "already_there": 2}) in [tuple(act) for act in acts]
    done = admin.post(
        new, data={"addresses": "ed@example.com", "reason": "x"}, follow_redirects=True
    )
    assert "1 address is suppressed now." in done.text


@pytest.mark.usefixtures("barred")
def test_only_what_was_made_by_hand_is_lifted_after_a_question(
    admin: FlaskClient, database: Database
) -> None:
    asked = admin.post(f"{WHERE}/lift", data={"address": "ann@example.com"})
    assert "Lift this suppression?" in asked.text
    for sure in ("", "yes"):
        refused = admin.post(
            f"{WHERE}/lift",
            data={"address": "bo@example.com", "sure": sure},
            follow_redirects=True,
        )
        assert "Nothing was changed." in refused.text
    assert admin.post(f"{WHERE}/lift", data={"address": "no@example.com"}).status_code == 404

    admin.post(f"{WHERE}/lift", data={"address": "ann@example.com", "sure": "yes"})

    assert shown(admin) == ["bo@", "b_x@"]
    with database.reading() as session:
        acts = session.execute(
            select(
                AuditEntry.action, AuditEntry.subject_kind, AuditEntry.subject_id, AuditEntry.detail
            )
        ).all()
    assert ("suppression_lifted", "subscriber", "1", None) in [tuple(act) for act in acts]
    assert not any("@example.com" in str(act) for act in acts)


@pytest.mark.usefixtures("barred")
def test_the_list_is_taken_out_without_the_erased_and_that_is_noted(
    admin: FlaskClient, database: Database
) -> None:
    answer = admin.post(f"{WHERE}/export.csv", data={"reason": "", "begins": ""})
    rows = list(csv.reader(StringIO(answer.text)))
    assert [row[0] for row in rows[1:]] == ["bo@example.com", "b_x@example.com", "ann@example.com"]
    assert rows[1][1:3] == ["bounced", "event bounce"]
    assert "attachment" in answer.headers["Content-Disposition"]
    assert admin.post(f"{WHERE}/export.csv", data={"reason": "x"}).status_code == 422
    with database.reading() as session:
        assert session.scalars(select(AuditEntry.action)).all()[-1] == "suppressions_exported"


def test_what_keeps_the_provider_from_hearing_is_told_in_a_sentence(
    admin: FlaskClient, database: Database
) -> None:
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
