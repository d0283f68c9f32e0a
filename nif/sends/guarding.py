"""Stopping a send that its readers complain about, before the mail providers stop the house.

Gmail asks for less than 0.1 % complaints and refuses mail at 0.3 %; so many bounces come only of a
list that was not asked.
"""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.sends import refusing
from nif.sends.events import Report
from nif.sends.models import Cause, Send

ENOUGH = 1000
"""So many delivered or bounced mails make a rate worth acting on."""


@dataclass(frozen=True)
class Rates:
    """Complaints among the delivered and hard bounces among all that were tried, from 0 to 1."""

    delivered: int
    complaints: float
    bounces: float

    @property
    def warns(self) -> bool:
        return self.complaints >= 0.0005 or self.bounces >= 0.02


def rates(reported: dict[str, int]) -> Rates:
    """The rates of a send by the counts of its events; zero while there are too few."""
    delivered, bounced = reported.get("delivered", 0), reported.get("bounce", 0)
    complaints = reported.get("spamreport", 0)
    return Rates(
        delivered,
        complaints / delivered if delivered >= ENOUGH else 0.0,
        bounced / (delivered + bounced) if delivered + bounced >= ENOUGH else 0.0,
    )


def check(session: Session, send_ids: Collection[int]) -> None:
    """Pause those sends whose rates are too high. A person may let them go on all the same."""
    untolerated = select(Send.id).where(Send.id.in_(send_ids), Send.tolerated.is_(False))
    for send_id in session.scalars(untolerated.order_by(Send.id)).all():
        now = rates(reported(session, send_id))
        if now.complaints >= 0.001:
            what = f"{now.complaints:.2%} of its readers called it spam."
            refusing.stop(session, send_id, Cause.COMPLAINTS, what)
        elif now.bounces >= 0.05:
            what = f"{now.bounces:.1%} of its addresses do not exist."
            refusing.stop(session, send_id, Cause.BOUNCES, what)


def reported(session: Session, send_id: int) -> dict[str, int]:
    """How many events of each kind came about a send."""
    query = select(Report.kind, Report.count).where(Report.send_id == send_id)
    return dict(session.execute(query).all())
