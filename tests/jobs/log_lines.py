"""A logger for tests, which keeps what it is told, however logging is configured."""

from typing import Any


class LogLines(list[dict[str, Any]]):
    """The events that were logged, oldest first, with their facts."""

    def error(self, event: str, **facts: Any) -> None:
        self.append({"event": event, **facts})

    info = warning = error
