"""Leaving: with one click from the mail program (RFC 8058), or with one on the page."""

from collections.abc import Sequence
from contextlib import suppress

from flask import Blueprint, Response, render_template, request
from flask.typing import ResponseReturnValue

from nif.clock import utc_now
from nif.errors import NotFound
from nif.subscriptions import leaving
from nif.subscriptions.models import Subscription, SubscriptionState
from nif.web.access import Access, open_to
from nif.web.current import circumstances, reading, tokens, transaction

blueprint = Blueprint("unsubscribe", __name__)


@blueprint.get("/unsubscribe/<token>")
@open_to(Access.TOKEN)
def ask(token: str) -> ResponseReturnValue:
    with reading() as session:
        found = leaving.find_by_token(session, token, tokens())
        titles = [one.mailing_list.title for one in found]
        undoable = _is_undoable(found)
    return render_template(
        "public/unsubscribe/ask.html", titles=titles, left=_are_left(found), undoable=undoable
    )


@blueprint.post("/unsubscribe/<token>")
@open_to(Access.TOKEN)
def leave(token: str) -> ResponseReturnValue:
    """From a mail program: 200, a word, no cookie, no redirect, whatever the token was."""
    if "by_hand" in request.form:
        return _by_hand(token, back="back" in request.form)
    # No mail program can do anything with a 404, and nobody should learn from one.
    where = circumstances(page=leaving.BY_ONE_CLICK)
    with suppress(NotFound), transaction() as session:
        for subscription in leaving.find_by_token(session, token, tokens()):
            leaving.leave(session, subscription, where, now=utc_now())
    return Response("You will get no more of these.\n", mimetype="text/plain")


def _by_hand(token: str, *, back: bool) -> ResponseReturnValue:
    change = leaving.come_back if back else leaving.leave
    with transaction() as session:
        found = leaving.find_by_token(session, token, tokens())
        for subscription in found:
            change(session, subscription, circumstances(), now=utc_now())
        titles = [one.mailing_list.title for one in found]
        undoable = _is_undoable(found)
    return render_template(
        "public/unsubscribe/done.html", titles=titles, left=_are_left(found), undoable=undoable
    )


def _is_undoable(subscriptions: Sequence[Subscription]) -> bool:
    return all(leaving.may_come_back(one, now=utc_now()) for one in subscriptions)


def _are_left(subscriptions: Sequence[Subscription]) -> bool:
    return all(one.state is SubscriptionState.LEFT for one in subscriptions)
