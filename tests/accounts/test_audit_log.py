"""The audit log is filtered by account, action and day, page by page, and never changed."""

import ast
from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from nif.accounts import audit_log
from nif.accounts.audit_log import AuditFilter, NamedActor, record_audit_entry
from nif.errors import NotFound
from tests.conftest import NOON
from tests.factories import an_account
from tests.rules.source import modules, nodes

CLERK = NamedActor("A clerk")
MIDNIGHT = NOON.replace(hour=0)


def actions(session: Session, **sought: object) -> list[str]:
    return [act.action for act in audit_log.list_audit_entries(session, AuditFilter(**sought)).rows]


def test_entries_are_found_by_account_action_and_day_newest_first(session: Session) -> None:
    person = an_account(session)
    for by, what, days in ((person, "a", 0), (CLERK, "a", 1), (person, "b", 1)):
        record_audit_entry(session, by, what, "thing", 7, now=NOON + timedelta(days=days))
    session.flush()

    assert actions(session) == ["b", "a", "a"]
    assert actions(session, account_id=person.id) == ["b", "a"]
    assert len(actions(session, action="a")) == 2
    assert actions(session, day=MIDNIGHT) == ["a"]
    assert actions(session, day=MIDNIGHT - timedelta(days=1)) == []


def test_pages_follow_each_other_without_a_gap(session: Session) -> None:
    for n in range(audit_log.PAGE_SIZE + 3):
        record_audit_entry(session, CLERK, f"action-{n}", "thing", n, now=NOON)
    session.flush()

    first = audit_log.list_audit_entries(session, AuditFilter())
    second = audit_log.list_audit_entries(session, AuditFilter(), after=first.after)

    assert [act.action for act in second.rows] == ["action-2", "action-1", "action-0"]
    assert second.after is None
    for place in ("x", "-1", str(2**63)):
        with pytest.raises(NotFound):
            audit_log.list_audit_entries(session, AuditFilter(), after=place)


def test_long_values_are_shortened_in_an_audit_entry(session: Session) -> None:
    detail = {"bio": audit_log.describe_change("", "x" * 5000), "n": 3}
    record_audit_entry(session, CLERK, "wrote", "thing", 1, detail=detail, now=NOON)
    session.flush()

    detail_shown = audit_log.list_audit_entries(session, AuditFilter()).rows[0].detail
    assert len(detail_shown["bio"]["after"]) == audit_log.MAX_DETAIL_LENGTH
    assert detail_shown["n"] == 3


def test_failed_sign_ins_are_one_row_per_day_and_account(session: Session) -> None:
    person = an_account(session)
    for account_id, days in ((person.id, 0), (person.id, 0), (None, 0), (person.id, 1)):
        moment = NOON + timedelta(days=days)
        audit_log.count_failed_sign_in(session, account_id, now=moment)

    found = audit_log.list_failed_sign_ins(session, since=NOON.date())
    assert [(one.day.day, name, one.count) for one, name in found] == [
        (21, "Ed Itor", 1),
        (20, "Ed Itor", 2),
        (20, None, 1),
    ]


def test_no_code_changes_or_deletes_an_audit_entry() -> None:
    changing = [
        f"{path}:{node.lineno}"
        for path, tree in modules().items()
        for node in nodes(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name | ast.Attribute)
        and (node.func.id if isinstance(node.func, ast.Name) else node.func.attr)
        in {"update", "delete"}
        and any(isinstance(arg, ast.Name) and arg.id == "Act" for arg in node.args)
    ]

    assert changing == []
