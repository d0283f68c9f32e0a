"""Signs of life: what only whoever reads at an address does. Opening is none: machines open."""

from typing import Any

from sqlalchemy import ColumnElement, Exists, and_, or_, select

from nif.sends.events import Event
from nif.subscriptions.consenting import of_their_own
from nif.subscriptions.models import Consent

CLICK = "click"


def shown_life(who: Any, since: Any) -> ColumnElement[bool]:
    """Has whoever has the id `who` acted themselves since then, or clicked where that is known?"""
    return or_(*_signs(who, since))


def shown_none(who: Any, since: Any) -> ColumnElement[bool]:
    """The contrary, in a form that databases answer for a million at once."""
    acts, clicks = _signs(who, since)
    return and_(~acts, ~clicks)


def none_within(who: Any, span: tuple[int, int], since: Any) -> ColumnElement[bool]:
    """The same of the ids of a span: what they did is read once for all of them.

    Asked for one by one, PostgreSQL may look through all that anybody did since, for each.
    """
    acts = select(Consent.subscriber_id).where(
        Consent.subscriber_id.between(*span), Consent.at >= since, of_their_own()
    )
    clicks = select(Event.subscriber_id).where(
        Event.kind == CLICK, Event.subscriber_id.between(*span), Event.happened_at >= since
    )
    return and_(who.not_in(acts), who.not_in(clicks))


def _signs(who: Any, since: Any) -> tuple[Exists, Exists]:
    acts = select(Consent.id).where(
        Consent.subscriber_id == who, Consent.at >= since, of_their_own()
    )
    clicks = select(Event.id).where(
        Event.kind == CLICK, Event.subscriber_id == who, Event.happened_at >= since
    )
    return acts.exists(), clicks.exists()
