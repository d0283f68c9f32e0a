"""Unsubscribing: with one click in a mail program (RFC 8058), or with the button on the page."""

from collections.abc import Sequence
from contextlib import suppress

from flask import Blueprint, Response, render_template, request
from flask.typing import ResponseReturnValue

from nif.clock import utc_now
from nif.errors import NotFound
from nif.subscriptions import unsubscribe
from nif.subscriptions.models import Subscription, SubscriptionState
from nif.web.access import Access, open_to
from nif.web.current import consent_context, reading, tokens, transaction

blueprint = Blueprint("unsubscribe", __name__)


@blueprint.get("/unsubscribe/<token>")
@open_to(Access.TOKEN)
def confirm(token: str) -> ResponseReturnValue:
    with reading() as session:
        found = unsubscribe.get_subscriptions_to_unsubscribe(session, token, tokens())
        titles = [subscription.mailing_list.title for subscription in found]
        undoable = _can_resubscribe(found)
    return render_template(
        "public/unsubscribe/confirm.html",
        titles=titles,
        is_unsubscribed=_are_unsubscribed(found),
        undoable=undoable,
    )


@blueprint.post("/unsubscribe/<token>")
@open_to(Access.TOKEN)
def delete(token: str) -> ResponseReturnValue:
    """Unsubscribe. A mail program gets 200, without cookies or redirects, for any token at all."""
    if "on_page" in request.form:
        return _unsubscribe_on_page(token, resubscribe="resubscribe" in request.form)
    # A mail program cannot handle a 404, and it would reveal which tokens exist.
    where = consent_context(page=unsubscribe.ONE_CLICK_SOURCE)
    with suppress(NotFound), transaction() as session:
        for subscription in unsubscribe.get_subscriptions_to_unsubscribe(session, token, tokens()):
            unsubscribe.unsubscribe_from_list(session, subscription, where, now=utc_now())
    return Response("You are unsubscribed.\n", mimetype="text/plain")


def _unsubscribe_on_page(token: str, *, resubscribe: bool) -> ResponseReturnValue:
    change = unsubscribe.undo_unsubscribe if resubscribe else unsubscribe.unsubscribe_from_list
    with transaction() as session:
        found = unsubscribe.get_subscriptions_to_unsubscribe(session, token, tokens())
        for subscription in found:
            change(session, subscription, consent_context(), now=utc_now())
        titles = [subscription.mailing_list.title for subscription in found]
        undoable = _can_resubscribe(found)
    return render_template(
        "public/unsubscribe/done.html",
        titles=titles,
        is_unsubscribed=_are_unsubscribed(found),
        undoable=undoable,
    )


def _can_resubscribe(subscriptions: Sequence[Subscription]) -> bool:
    return all(
        unsubscribe.may_undo_unsubscribe(subscription, now=utc_now())
        for subscription in subscriptions
    )


def _are_unsubscribed(subscriptions: Sequence[Subscription]) -> bool:
    return all(
        subscription.state is SubscriptionState.UNSUBSCRIBED for subscription in subscriptions
    )
