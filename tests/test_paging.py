from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, select

from nif.accounts.audit_log import AuditEntry
from nif.errors import NotFound
from nif.paging import make_cursor, paginate, parse_cursor
from nif.stories.models import Revision
from tests.conftest import NOON

MINUTE = timedelta(minutes=1)
CENTRAL_EUROPE = timezone(timedelta(hours=2))


def some_entries(session, moments, names="abcdefghij", first=1):
    session.add_all(
        AuditEntry(id=n, at=at, account_name=name, action="x", subject_kind="y", subject_id="z")
        for n, (at, name) in enumerate(zip(moments, names, strict=False), start=first)
    )
    session.flush()


def walk(session, query, *keys, size=2, ascending=False):
    """The rows of all pages, and how many each page has."""
    rows, sizes, after = [], [], None
    while True:
        page = paginate(session, query, *keys, after=after, size=size, ascending=ascending)
        rows += page.rows
        sizes.append(len(page.rows))
        after = page.after
        if after is None:
            return rows, sizes


@pytest.mark.parametrize(("count", "sizes"), [(0, [0]), (1, [1]), (2, [2]), (3, [2, 1])])
def test_the_last_page_has_no_cursor_of_a_next_one(session, count, sizes):
    some_entries(session, [NOON] * count)

    ids, counted = walk(session, select(AuditEntry.id), AuditEntry.id)

    assert ids == list(range(count, 0, -1))
    assert counted == sizes


@pytest.mark.parametrize("ascending", [True, False])
def test_rows_of_one_moment_are_neither_repeated_nor_lost(session, ascending):
    some_entries(session, [NOON, NOON, NOON, NOON - MINUTE, NOON - MINUTE, NOON + MINUTE])

    ids, sizes = walk(
        session, select(AuditEntry.id), AuditEntry.at, AuditEntry.id, ascending=ascending
    )

    assert sizes == [2, 2, 2]
    assert ids == ([4, 5, 1, 2, 3, 6] if ascending else [6, 3, 2, 1, 5, 4])


def test_pages_can_be_ordered_by_any_text(session):
    names = ["~", "a~b", "a b&c", "é%2B", "+", "数"]
    some_entries(session, [NOON] * 6, names)

    found, _ = walk(
        session, select(AuditEntry.account_name), AuditEntry.at, AuditEntry.account_name
    )

    assert sorted(found) == sorted(names)


def test_a_row_added_between_two_pages_moves_no_other_row(session):
    some_entries(session, [NOON] * 3)
    first = paginate(session, select(AuditEntry.id), AuditEntry.id, after=None, size=2)
    some_entries(session, [NOON], first=4)

    second = paginate(session, select(AuditEntry.id), AuditEntry.id, after=first.after, size=2)

    assert second.rows == [1]


def test_selecting_one_model_gives_its_rows_and_selecting_several_columns_gives_tuples(session):
    some_entries(session, [NOON])

    [entry] = paginate(session, select(AuditEntry), AuditEntry.id, after="", size=2).rows
    pairs = select(AuditEntry.id, AuditEntry.account_name)

    assert entry.account_name == "a"
    assert paginate(session, pairs, AuditEntry.id, after="", size=2).rows == [(1, "a")]


def test_the_database_finds_the_first_row_of_a_page_by_an_index(session):
    if session.get_bind().dialect.name != "sqlite":
        return
    statements = []

    @event.listens_for(session.get_bind(), "before_cursor_execute")
    def note_statement(connection, cursor, statement, parameters, context, many):
        statements.append((statement, parameters))

    cursor = make_cursor(NOON, 5)
    paginate(session, select(AuditEntry.id), AuditEntry.at, AuditEntry.id, after=cursor, size=2)

    statement, parameters = statements[-1]
    plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
    assert [row.detail for row in plan] == [
        "SEARCH audit_entry USING COVERING INDEX ix_audit_entry_at (at<?)"
    ]


@given(
    st.timedeltas(timedelta(days=-20_000), timedelta(days=2_000_000)),
    st.integers(0, 2**63 - 1),
    st.text(),
)
def test_a_cursor_is_read_back_to_the_values_it_was_made_of(age, number, name):
    moment = NOON.astimezone(CENTRAL_EUROPE) + age
    name = name.encode(errors="replace").decode().replace("\0", "")[:900]

    cursor = make_cursor(moment, number, name)
    parsed = parse_cursor(cursor, AuditEntry.at, AuditEntry.id, AuditEntry.account_name)

    assert parsed == [moment, number, name]


def test_a_cursor_is_readable_in_an_address():
    moment = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)

    assert make_cursor(moment, 7) == "2026-11-20T12:30:00Z~7"
    assert make_cursor(7) == "7"


HOSTILE = {
    "no values": (AuditEntry.at, AuditEntry.id, "x"),
    "too few values": (AuditEntry.at, AuditEntry.id, "2026-11-20T12:00:00Z"),
    "too many values": (AuditEntry.id, AuditEntry.subject_kind, "2026-11-20T12:00:00Z~7~8"),
    "no number": (AuditEntry.at, AuditEntry.id, "2026-11-20T12:00:00Z~seven"),
    "a negative number": (AuditEntry.at, AuditEntry.id, "2026-11-20T12:00:00Z~-7"),
    "a number in other digits": (AuditEntry.at, AuditEntry.id, "2026-11-20T12:00:00Z~١"),
    "a huge number": (AuditEntry.at, AuditEntry.id, f"2026-11-20T12:00:00Z~{2**63}"),
    "a number of 900 digits": (AuditEntry.at, AuditEntry.id, f"2026-11-20T12:00:00Z~{'9' * 900}"),
    "a number too large for its column": (AuditEntry.at, Revision.n, f"2026-11-20T12:00Z~{2**31}"),
    "a naive moment": (AuditEntry.at, AuditEntry.id, "2026-11-20T12:00:00~7"),
    "a day": (AuditEntry.at, AuditEntry.id, "2026-11-20~7"),
    "no such moment": (AuditEntry.at, AuditEntry.id, "2026-02-30T12:00:00Z~7"),
    "the first year": (AuditEntry.at, AuditEntry.id, "0001-01-01T00:00:00+14:00~7"),
    "the last year": (AuditEntry.at, AuditEntry.id, "9999-12-31T23:59:59-14:00~7"),
    "a NUL in a text": (AuditEntry.at, AuditEntry.account_name, "2026-11-20T12:00:00Z~a\0b"),
    "half a character": (AuditEntry.at, AuditEntry.account_name, "2026-11-20T12:00Z~\ud800"),
    "a long text": (AuditEntry.at, AuditEntry.account_name, "2026-11-20T12:00Z~" + "a" * 10_000),
    "a NUL in a moment": (AuditEntry.at, AuditEntry.id, "2026-11-20T12:00:00Z\0~7"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_an_invalid_cursor_is_not_found(session, case):
    *keys, cursor = HOSTILE[case]
    query = select(AuditEntry.id)

    with pytest.raises(NotFound, match="There is no such page"):
        paginate(session, query, *keys, after=cursor, size=2)


@pytest.mark.parametrize("number", [0, 2**63 - 1])
def test_a_cursor_may_hold_the_smallest_and_the_largest_number_of_the_database(session, number):
    some_entries(session, [NOON])

    page = paginate(session, select(AuditEntry.id), AuditEntry.id, after=str(number), size=2)

    assert page.rows == ([1] if number else [])
