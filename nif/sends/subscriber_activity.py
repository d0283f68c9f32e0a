"""Whether a subscriber is active: acted or clicked. Opens do not count, since machines open."""

from typing import Any

from sqlalchemy import ColumnElement, Exists, and_, or_, select

from nif.sends.models import ProviderEvent
from nif.subscriptions.consent import is_reader_action
from nif.subscriptions.models import Consent

CLICK_EVENT = "click"


def was_active_since(subscriber_id: Any, since: Any) -> ColumnElement[bool]:
    """Did this subscriber act or click since?"""
    return or_(*_activity_since(subscriber_id, since))


def was_inactive_since(subscriber_id: Any, since: Any) -> ColumnElement[bool]:
    """The opposite, in a form that databases answer for a million subscribers at once."""
    acts, clicks = _activity_since(subscriber_id, since)
    return and_(~acts, ~clicks)


def was_inactive_since_in_range(
    subscriber_id: Any, id_range: tuple[int, int], since: Any
) -> ColumnElement[bool]:
    """The same for a range of ids, reading the range's activity once.

    With a condition for each subscriber, PostgreSQL may scan all activity since for each of them.
    """
    acts = select(Consent.subscriber_id).where(
        Consent.subscriber_id.between(*id_range), Consent.at >= since, is_reader_action()
    )
    clicks = select(ProviderEvent.subscriber_id).where(
        ProviderEvent.kind == CLICK_EVENT,
        ProviderEvent.subscriber_id.between(*id_range),
        ProviderEvent.happened_at >= since,
    )
    return and_(subscriber_id.not_in(acts), subscriber_id.not_in(clicks))


def _activity_since(subscriber_id: Any, since: Any) -> tuple[Exists, Exists]:
    acts = select(Consent.id).where(
        Consent.subscriber_id == subscriber_id, Consent.at >= since, is_reader_action()
    )
    clicks = select(ProviderEvent.id).where(
        ProviderEvent.kind == CLICK_EVENT,
        ProviderEvent.subscriber_id == subscriber_id,
        ProviderEvent.happened_at >= since,
    )
    return acts.exists(), clicks.exists()
