"""The days of the house: on which of them something is counted."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from nif.database import ZONE


def day_of(session: Session, moment: datetime) -> date:
    """The day on which something happened, by the clock of the house."""
    zone = session.get_bind().get_execution_options().get(ZONE, "UTC")
    return moment.astimezone(ZoneInfo(zone)).date()
