"""A dry run's memory: what the import would have written so far, kept outside the database.

So a dry run counts exactly what the import will count, and writes nothing.
"""

import json
import sqlite3
from collections.abc import Collection, Mapping

from nif.imports.row_rules import AddressStatus
from nif.subscriptions.models import SubscriptionState, SuppressionReason


class DryRun:
    """The status that addresses would have by now. On disk: a million do not fit into memory."""

    def __init__(self) -> None:
        # With an empty name SQLite uses a temporary file and deletes it on close.
        self._statuses = sqlite3.connect("", isolation_level=None)
        self._statuses.execute("PRAGMA journal_mode=OFF")
        self._statuses.execute("PRAGMA cache_size=-8192")
        self._statuses.execute(
            "CREATE TABLE status (canonical TEXT PRIMARY KEY, state, has_unsubscribed, suppressed) "
            "WITHOUT ROWID"
        )

    def overlay(self, known: dict[str, AddressStatus], canonicals: Collection[str]) -> None:
        """Replace in `known` what the dry run has changed so far."""
        query = "SELECT status.* FROM json_each(?) AS each JOIN status ON canonical = each.value"
        for canonical, state, has_unsubscribed, suppressed in self._statuses.execute(
            query, [json.dumps(list(canonicals))]
        ):
            known[canonical] = known.get(canonical, AddressStatus())._replace(
                state=state and SubscriptionState(state),
                has_unsubscribed=bool(has_unsubscribed),
                suppressed=suppressed and SuppressionReason(suppressed),
            )

    def record(self, changed: Mapping[str, AddressStatus]) -> None:
        """Remember the status of addresses after a batch."""
        self._statuses.execute("BEGIN")
        self._statuses.executemany(
            "INSERT OR REPLACE INTO status VALUES (?, ?, ?, ?)",
            (
                (canonical, status.state, status.has_unsubscribed, status.suppressed)
                for canonical, status in sorted(changed.items())
            ),
        )
        self._statuses.execute("COMMIT")

    def close(self) -> None:
        self._statuses.close()
