"""The queue that wakes workers. If it loses a wake-up, the next scheduled tick finds the work."""

import logging
import math
import time
from collections.abc import Callable

from huey import Huey, PostgresHuey, SqliteHuey
from huey.serializer import SignedSerializer

log = logging.getLogger(__name__)

WARN_EVERY_SECONDS = 60.0


class WakeQueue:
    """Carries wake-ups from any process to the `handler` of a worker.

    `where` is a PostgreSQL address or the path of a SQLite file. Messages hold only names and ids.
    They are signed, because huey pickles them.
    """

    def __init__(self, where: str, key: bytes) -> None:
        serializer = SignedSerializer(secret=key.hex(), salt="nif.queue")
        if where.startswith("postgresql"):
            self.huey: Huey = PostgresHuey("nif", dsn=where, serializer=serializer, results=False)
        else:
            self.huey = SqliteHuey("nif", filename=where, serializer=serializer, results=False)
        self._warned_at = -math.inf
        self.handler: Callable[..., None] = lambda *_: None
        self._task = self.huey.task(name="handle")(lambda *job: self.handler(*job))

    def wake(self, name: str, *ids: int) -> bool:
        """Ask a worker to run the job `name` soon; False, never an error, where that fails."""
        try:
            self._task(name, *ids)
        except Exception:
            self._warn_once_a_minute()
            return False
        return True

    def _warn_once_a_minute(self) -> None:
        now = time.monotonic()
        if now - self._warned_at >= WARN_EVERY_SECONDS:
            self._warned_at = now
            log.warning("a wake-up could not be queued; the next tick will find the work")
