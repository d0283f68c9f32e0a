"""Logging: JSON lines in production, readable lines in development, without personal data."""

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any

import structlog

from nif.settings import Settings

_EMAIL_ADDRESS = re.compile(r"[^\s@%<>\":/=,;()]+(?:@|%40)[^\s@<>\"'/,;)]+", re.IGNORECASE)
_BEFORE_TOKENS = "|".join(
    (
        *("confirm", "preferences", "unsubscribe", "stay", "report-signup", "not-me"),
        *("new-address", "reset", "invitation"),
        *("login/passkey", "login/verify/passkey", "account/passkeys", "account/authenticator"),
    )
)
_TOKEN = re.compile(rf"(/(?:{_BEFORE_TOKENS})/)[^\s/?\"']+")
_KEY = re.compile(r"SG\.[\w.-]+|(?<=Bearer )\S+")


def redact(text: str) -> str:
    """`text` without email addresses, tokens of links, and keys."""
    return _KEY.sub("[key]", _TOKEN.sub(r"\1[token]", _EMAIL_ADDRESS.sub("[address]", text)))


def configure_logging(settings: Settings) -> None:
    """Send the logs of all libraries to standard error through one formatter that redacts."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _redact_event,
    ]
    renderer = (
        structlog.processors.JSONRenderer()
        if settings.in_production
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    for noisy in ("apscheduler", "huey", "werkzeug", "python_http_client", "urllib3", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _redact_event(_logger: Any, _name: str, event: Any) -> Any:
    return {key: _redact_value(value) for key, value in event.items()}


def _redact_value(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {key: _redact_value(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redact_value(one) for one in value]
    if isinstance(value, int | float | type(None) | logging.LogRecord):
        # structlog passes the record itself through the processors and removes it at the end.
        return value
    return redact(str(value))
