"""Signs of life: what only whoever reads at an address does. Opening is none: machines open."""

from typing import Any

from sqlalchemy import ColumnElement, Exists, and_, or_, select

from nif.sends.models import ProviderEvent
from nif.subscriptions.consent import is_reader_action
from nif.subscriptions.models import Consent

CLICK_EVENT = "click"


def was_active_since(who: Any, since: Any) -> ColumnElement[bool]:
    """Has whoever has the id `who` acted themselves since then, or clicked where that is known?"""
    return or_(*_activity_since(who, since))


def was_inactive_since(who: Any, since: Any) -> ColumnElement[bool]:
    """The contrary, in a form that databases answer for a million at once."""
    acts, clicks = _activity_since(who, since)
    return and_(~acts, ~clicks)


def was_inactive_since_in_range(who: Any, span: tuple[int, int], since: Any) -> ColumnElement[bool]:
    """The same of the ids of a span: what they did is read once for all of them.

    Asked for one by one, PostgreSQL may look through all that anybody did since, for each.
    """
    acts = select(Consent.subscriber_id).where(
        Consent.subscriber_id.between(*span), Consent.at >= since, is_reader_action()
    )
    clicks = select(ProviderEvent.subscriber_id).where(
        ProviderEvent.kind == CLICK_EVENT,
        ProviderEvent.subscriber_id.between(*span),
        ProviderEvent.happened_at >= since,
    )
    return and_(who.not_in(acts), who.not_in(clicks))


def _activity_since(who: Any, since: Any) -> tuple[Exists, Exists]:
    acts = select(Consent.id).where(
        Consent.subscriber_id == who, Consent.at >= since, is_reader_action()
    )
    clicks = select(ProviderEvent.id).where(
        ProviderEvent.kind == CLICK_EVENT,
        ProviderEvent.subscriber_id == who,
        ProviderEvent.happened_at >= since,
    )
    return acts.exists(), clicks.exists()
