"""Exporting lists, and importing the export again."""

import csv
from io import StringIO

import pytest
from sqlalchemy import text

from nif.imports import imports
from nif.imports.imports import _select_export_page, stream_list_export
from nif.imports.models import ImportState
from nif.subscriptions.lifecycle import unsubscribe_from_list
from nif.subscriptions.lists import get_list
from nif.subscriptions.models import SubscriptionState, SuppressionReason
from nif.subscriptions.suppression_list import suppress_address
from tests.conftest import NOON
from tests.factories import HERE, a_list, a_subscription


def export_rows(importer, slug="daily"):
    with importer.database.snapshot() as session:
        text = "".join(stream_list_export(session, get_list(session, slug).id))
    return text, list(csv.DictReader(StringIO(text)))


def test_an_export_contains_everyone_and_no_formula(importer, monkeypatch):
    monkeypatch.setattr(imports, "EXPORT_PAGE_ROWS", 2)
    with importer.database.transaction() as session:
        daily = get_list(session, "daily")
        for address in ("=ann@example.com", "+bea@example.com", "cy@example.com"):
            a_subscription(session, daily, address)
        a_subscription(session, daily, "dee@example.com", SubscriptionState.PENDING)
        unsubscribe_from_list(
            session, a_subscription(session, daily, "eve@example.com"), HERE, now=NOON
        )
        suppress_address(session, "cy@example.com", SuppressionReason.BOUNCED, source="x", now=NOON)
        a_subscription(session, a_list(session, "weekly"), "other@example.com")

    text, rows = export_rows(importer)

    assert [(row["address"], row["state"], row["suppressed"]) for row in rows] == [
        ("'=ann@example.com", "confirmed", ""),
        ("'+bea@example.com", "confirmed", ""),
        ("cy@example.com", "confirmed", "bounced"),
        ("dee@example.com", "pending", ""),
        ("eve@example.com", "unsubscribed", ""),
    ]
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())

    with importer.database.transaction() as session:
        importer.list_id = get_list(session, "weekly").id
    run = importer.import_file(text.encode())
    assert run.state is ImportState.DONE
    assert importer.subscription_states() == {
        "=ann@example.com": "confirmed",
        "+bea@example.com": "confirmed",
        "dee@example.com": "pending",
        "eve@example.com": "unsubscribed",
        "other@example.com": "confirmed",
    }


@pytest.mark.parametrize("state", SubscriptionState)
def test_each_page_of_an_export_is_read_in_index_order(importer, state):
    """Sorting the rest of the list for each page doubled the time for a million."""
    if importer.database.engine.dialect.name != "sqlite":
        pytest.skip("Only SQLite shows its plan without table statistics")
    engine = importer.database.engine
    query = _select_export_page(importer.list_id, state, 0).compile(
        engine, compile_kwargs={"literal_binds": True}
    )
    with importer.database.reading() as session:
        plan = str(session.execute(text(f"EXPLAIN QUERY PLAN {query}")).all())

    assert "ix_subscription_confirmed" in plan
    assert "TEMP B-TREE" not in plan
    assert "SCAN" not in plan
