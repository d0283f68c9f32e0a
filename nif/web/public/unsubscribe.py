"""Leaving: with one click from the mail program (RFC 8058), or with one on the page."""

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
        titles = [one.mailing_list.title for one in found]
        undoable = _can_resubscribe(found)
    return render_template(
        "public/unsubscribe/confirm.html",
        titles=titles,
        left=_are_unsubscribed(found),
        undoable=undoable,
    )


@blueprint.post("/unsubscribe/<token>")
@open_to(Access.TOKEN)
def delete(token: str) -> ResponseReturnValue:
    """From a mail program: 200, a word, no cookie, no redirect, whatever the token was."""
    if "by_hand" in request.form:
        return _unsubscribe_on_page(token, back="back" in request.form)
    # No mail program can do anything with a 404, and nobody should learn from one.
    where = consent_context(page=unsubscribe.ONE_CLICK_SOURCE)
    with suppress(NotFound), transaction() as session:
        for subscription in unsubscribe.get_subscriptions_to_unsubscribe(session, token, tokens()):
            unsubscribe.unsubscribe_from_list(session, subscription, where, now=utc_now())
    return Response("You will get no more of these.\n", mimetype="text/plain")


def _unsubscribe_on_page(token: str, *, back: bool) -> ResponseReturnValue:
    change = unsubscribe.undo_unsubscribe if back else unsubscribe.unsubscribe_from_list
    with transaction() as session:
        found = unsubscribe.get_subscriptions_to_unsubscribe(session, token, tokens())
        for subscription in found:
            change(session, subscription, consent_context(), now=utc_now())
        titles = [one.mailing_list.title for one in found]
        undoable = _can_resubscribe(found)
    return render_template(
        "public/unsubscribe/done.html",
        titles=titles,
        left=_are_unsubscribed(found),
        undoable=undoable,
    )


def _can_resubscribe(subscriptions: Sequence[Subscription]) -> bool:
    return all(unsubscribe.may_undo_unsubscribe(one, now=utc_now()) for one in subscriptions)


def _are_unsubscribed(subscriptions: Sequence[Subscription]) -> bool:
    return all(one.state is SubscriptionState.UNSUBSCRIBED for one in subscriptions)
