"""Moments on the newsroom's own clock, as a field for day and time holds them."""

from datetime import datetime
from zoneinfo import ZoneInfo

from nif.editions.schedule import resolve_local_time
from nif.web.current import settings


def parse_local_datetime(text: str) -> datetime | None:
    """The moment of a day and time; None where that is neither, or in no century that we know."""
    try:
        local = datetime.fromisoformat(text.strip())
        return resolve_local_time(local.date(), local.time(), ZoneInfo(settings().time_zone))
    except (OverflowError, ValueError):
        return None


def format_datetime_input(moment: datetime) -> str:
    """What the field shows of a moment: "2026-11-24T09:00"."""
    return f"{moment.astimezone(ZoneInfo(settings().time_zone)):%Y-%m-%dT%H:%M}"
