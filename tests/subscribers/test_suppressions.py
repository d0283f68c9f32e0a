"""Searching the suppression list, and adding to it by hand."""

from datetime import timedelta

import pytest

from nif.database import Database
from nif.errors import Invalid
from nif.paging import Page
from nif.sends import suppression_sync
from nif.subscribers import suppressions
from nif.subscribers.suppressions import ListedSuppression, ProviderSync
from nif.subscriptions.models import SuppressionReason as Reason
from nif.subscriptions.suppression_list import (
    add_suppressions,
    record_erased_address,
    suppress_address,
)
from tests.conftest import NOON
from tests.fakes import FakeMailer

FIRST, SECOND = "first-1@example.com", "first2@example.com"


def search(
    database: Database, reason: str = "", begins: str = "", after: str | None = None
) -> Page[ListedSuppression]:
    with database.reading() as session:
        return suppressions.search_suppressions(
            session, suppressions.parse_suppression_filter(reason, begins), after=after
        )


def addresses_of(page: Page[ListedSuppression]) -> list[str]:
    return [one.suppression.canonical for one in page.rows]


def test_pages_continue_each_other_to_the_end(database: Database) -> None:
    there = {f"r{n:03}@example.com" for n in range(2 * suppressions.SUPPRESSIONS_PER_PAGE + 3)}
    with database.transaction() as session:
        add_suppressions(session, dict.fromkeys(there, Reason.BOUNCED), source="import:1", now=NOON)
        record_erased_address(session, "r0@example.com", source="test", now=NOON)
    for asked in (("", ""), ("bounced", ""), ("", "r"), ("bounced", "r")):
        seen, after = [], None
        while True:
            reason, begins = asked
            found = search(database, reason, f"{begins}01" if begins else "", after)
            seen += addresses_of(found)
            if (after := found.after) is None:
                break
        expected = [one for one in there if one.startswith("r01" if asked[1] else "r")]
        assert sorted(seen) == sorted(expected)
        assert len(seen) == len(expected)


@pytest.mark.parametrize(
    ("begins", "found"),
    [
        ("first", {FIRST, SECOND}),
        ("FIRST-", {FIRST}),
        ("first2@example.com", {SECOND}),
        ("irst", set()),
        ("first%", set()),
        ("firs_", set()),
        ("erased:", set()),
    ],
)
def test_addresses_are_found_by_prefix_and_erased_hashes_never(
    database: Database, begins: str, found: set[str]
) -> None:
    """Hyphens count, whatever collation the database uses."""
    with database.transaction() as session:
        for one in (FIRST, SECOND, "firz@example.com", "fir@example.com"):
            suppress_address(session, one, Reason.BOUNCED, source="event bounce", now=NOON)
        record_erased_address(session, "first@example.com", source="test", now=NOON)

    assert set(addresses_of(search(database, "", begins))) == found


@pytest.mark.parametrize(
    ("reason", "begins"), [("erased", ""), ("x", ""), ("", "ab"), ("", "ä" * 5), ("", "abc\0")]
)
def test_an_invalid_filter_is_refused(reason: str, begins: str) -> None:
    with pytest.raises(Invalid):
        suppressions.parse_suppression_filter(reason, begins)


def test_each_suppression_shows_whether_the_provider_has_it(
    database: Database, mailer: FakeMailer
) -> None:
    later = NOON + timedelta(hours=1)
    with database.transaction() as session:
        suppress_address(session, "told@x.example", Reason.MANUAL, source="manual: x", now=NOON)
        suppress_address(
            session, "theirs@x.example", Reason.BOUNCED, source="event bounce", now=NOON
        )
        add_suppressions(session, {"not@x.example": Reason.BOUNCED}, source="import:1", now=NOON)
    suppression_sync.push_suppressions(database.transaction, mailer, clock=lambda: later)
    with database.transaction() as session:
        suppress_address(session, "waits@x.example", Reason.MANUAL, source="manual: x", now=later)
    found = {one.suppression.canonical.split("@")[0]: one for one in search(database).rows}

    assert {name: one.provider_sync for name, one in found.items()} == {
        "told": ProviderSync.PUSHED,
        "theirs": ProviderSync.FROM_PROVIDER,
        "not": ProviderSync.NOT_PUSHED,
        "waits": ProviderSync.PENDING,
    }
    assert found["told"].pushed_at == later
    assert [name for name, one in found.items() if one.may_lift] == ["waits", "told"]


def test_pasted_addresses_may_have_many_separators() -> None:
    text = (
        '\n"Ann" <Ann@X.example>, bo@x.example;cy@x.example\tdi@x.example  ed@x.example\n\nnone\n'
    )
    canonicals, invalid = suppressions.parse_pasted_addresses(text)

    assert sorted(one[:2] for one in canonicals) == ["an", "bo", "cy", "di", "ed"]
    assert invalid == ["none"]
    with pytest.raises(Invalid, match="At most 10,000"):
        suppressions.parse_pasted_addresses("a@x.example " * 10_001)
