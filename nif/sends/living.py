"""Signs of life: what only whoever reads at an address does. Opening is none: machines open."""

from typing import Any

from sqlalchemy import ColumnElement, or_, select

from nif.sends.events import Event
from nif.subscriptions.consenting import of_their_own
from nif.subscriptions.models import Consent

CLICK = "click"


def shown_life(who: Any, since: Any) -> ColumnElement[bool]:
    """Has whoever has the id `who` acted themselves since then, or clicked where that is known?"""
    acts = select(Consent.id).where(
        Consent.subscriber_id == who, Consent.at >= since, of_their_own()
    )
    clicks = select(Event.id).where(
        Event.kind == CLICK, Event.subscriber_id == who, Event.happened_at >= since
    )
    return or_(acts.exists(), clicks.exists())
