"""A rehearsal: what a run would have done so far, beside the database, so that it is counted
exactly and nothing happens."""

import json
import sqlite3
from collections.abc import Collection, Mapping

from nif.imports.row_rules import AddressStatus
from nif.subscriptions.models import SubscriptionState, SuppressionReason


class DryRun:
    """Remembers how people would stand. On the disk: a million of them are too many to hold."""

    def __init__(self) -> None:
        # An empty name is a file of SQLite's own, which is gone when it is closed.
        self._memory = sqlite3.connect("", isolation_level=None)
        self._memory.execute("PRAGMA journal_mode=OFF")
        self._memory.execute("PRAGMA cache_size=-8192")
        self._memory.execute(
            "CREATE TABLE seen (canonical TEXT PRIMARY KEY, state, had_left, suppressed) "
            "WITHOUT ROWID"
        )

    def recall(self, known: dict[str, AddressStatus], canonicals: Collection[str]) -> None:
        """Put what would have been done over what the house knows."""
        query = "SELECT seen.* FROM json_each(?) AS each JOIN seen ON canonical = each.value"
        for canonical, state, had_left, suppressed in self._memory.execute(
            query, [json.dumps(list(canonicals))]
        ):
            known[canonical] = known.get(canonical, AddressStatus())._replace(
                state=state and SubscriptionState(state),
                had_left=bool(had_left),
                suppressed=suppressed and SuppressionReason(suppressed),
            )

    def remember(self, changed: Mapping[str, AddressStatus]) -> None:
        self._memory.execute("BEGIN")
        self._memory.executemany(
            "INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?)",
            (
                (canonical, one.state, one.had_left, one.suppressed)
                for canonical, one in sorted(changed.items())
            ),
        )
        self._memory.execute("COMMIT")

    def close(self) -> None:
        self._memory.close()
