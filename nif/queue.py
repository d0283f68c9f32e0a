"""The queue that wakes workers. It holds no truth: whatever it loses, the next tick finds again."""

import logging
from collections.abc import Callable

from huey import Huey, PostgresHuey, SqliteHuey
from huey.serializer import SignedSerializer

log = logging.getLogger(__name__)

WakeHandler = Callable[..., None]


class WakeQueue:
    """Carries `wake` from any process to the handlers of a worker.

    `where` is a PostgreSQL address or the path of a SQLite file. Only names and ids travel, in a
    signed envelope, for the envelope itself is a pickle.
    """

    def __init__(self, where: str, key: bytes) -> None:
        serializer = SignedSerializer(secret=key.hex(), salt="nif.queue")
        if where.startswith("postgresql"):
            self.huey: Huey = PostgresHuey("nif", dsn=where, serializer=serializer, results=False)
        else:
            self.huey = SqliteHuey("nif", filename=where, serializer=serializer, results=False)
        self.handlers: dict[str, WakeHandler] = {}
        self._task = self.huey.task(name="handle")(self._handle)

    def wake(self, what: str, *ids: int) -> bool:
        """Have a worker do `what` soon; False where the queue is broken, and never an error."""
        try:
            self._task(what, *ids)
        except Exception:
            log.warning("a wake-up could not be queued; the next tick will find the work")
            return False
        return True

    def _handle(self, what: str, *ids: int) -> None:
        self.handlers[what](*ids)
