"""What a reader does by a link in a mail: unsubscribe, stay subscribed, report a false sign-up.

Each is a question and its button, because mail programs open links. Only unsubscribing is done at
once, by the mail program's own button (RFC 8058).
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from nif.clock import utc_now
from nif.errors import NotFound
from nif.subscriptions import lifecycle
from nif.subscriptions.consent import wording_of_subscription
from nif.subscriptions.models import Subscription, SubscriptionState
from nif.web.access import Access, open_to, page_view
from nif.web.current import consent_context, settings, tokens, transaction
from nif.web.forms import Form, Tick

blueprint = Blueprint("unsubscribe", __name__)


class UnsubscribeForm(Form):
    """The buttons of the page; a mail program sends neither."""

    on_page = Tick()
    resubscribe = Tick()


@page_view(blueprint, Access.TOKEN, "/unsubscribe/<token>")
def confirm(session: Session, token: str) -> str:
    found = lifecycle.get_subscriptions_to_unsubscribe(session, token, tokens())
    facts = _facts_of(found)
    return render_template("public/unsubscribe/confirm.html", **facts)


@blueprint.post("/unsubscribe/<token>")
@open_to(Access.TOKEN)
def delete(token: str) -> ResponseReturnValue:
    """Unsubscribe. A mail program gets 200, without cookies or redirects, for any token at all."""
    form = UnsubscribeForm(request.form)
    if form.on_page.data:
        return _unsubscribe_on_page(token, resubscribe=form.resubscribe.data)
    # A mail program cannot handle a 404, and it would reveal which tokens exist.
    where = consent_context(page=lifecycle.ONE_CLICK_SOURCE)
    with suppress(NotFound), transaction() as session:
        for subscription in lifecycle.get_subscriptions_to_unsubscribe(session, token, tokens()):
            lifecycle.unsubscribe_from_list(session, subscription, where, now=utc_now())
    return Response("You are unsubscribed.\n", mimetype="text/plain")


def _unsubscribe_on_page(token: str, *, resubscribe: bool) -> str:
    change = lifecycle.undo_unsubscribe if resubscribe else lifecycle.unsubscribe_from_list
    with transaction() as session:
        found = lifecycle.get_subscriptions_to_unsubscribe(session, token, tokens())
        for subscription in found:
            change(session, subscription, consent_context(), now=utc_now())
        facts = _facts_of(found)
    return render_template("public/unsubscribe/done.html", **facts)


def _facts_of(found: Sequence[Subscription]) -> dict[str, Any]:
    now = utc_now()
    return {
        "titles": [one.mailing_list.title for one in found],
        "is_unsubscribed": all(one.state is SubscriptionState.UNSUBSCRIBED for one in found),
        "undoable": all(lifecycle.may_undo_unsubscribe(one, now=now) for one in found),
    }


@page_view(blueprint, Access.TOKEN, "/report-signup/<token>")
def confirm_report(session: Session, token: str) -> str:
    lifecycle.get_refusing_subscriber(session, token, tokens())
    return render_template("public/unsubscribe/confirm_report.html")


@blueprint.post("/report-signup/<token>")
@open_to(Access.TOKEN)
def report(token: str) -> str:
    """Somebody else typed the reader's address into a form."""
    with transaction() as session:
        subscriber = lifecycle.get_refusing_subscriber(session, token, tokens())
        lifecycle.refuse_signups(session, subscriber, consent_context(), now=utc_now())
    return render_template("public/unsubscribe/reported.html")


@blueprint.route("/not-me/<token>", methods=["GET", "POST"])
@open_to(Access.TOKEN)
def redirect_old_report(token: str) -> ResponseReturnValue:
    """The address in mails that were sent before it changed."""
    return redirect(url_for(".confirm_report", token=token), 308)


@page_view(blueprint, Access.TOKEN, "/stay/<token>")
def confirm_stay(session: Session, token: str) -> str:
    """The link of re-permission mail."""
    found = lifecycle.get_subscription_to_keep(session, token, tokens())
    return render_template(
        "public/unsubscribe/confirm_stay.html",
        mailing_list=found.mailing_list,
        is_reader=found.state is SubscriptionState.CONFIRMED,
        may_stay=lifecycle.may_keep_subscription(session, found, now=utc_now()),
    )


@blueprint.post("/stay/<token>")
@open_to(Access.TOKEN)
def stay(token: str) -> str:
    with transaction() as session:
        found = lifecycle.get_subscription_to_keep(session, token, tokens())
        mailing_list = found.mailing_list
        where = consent_context(wording_of_subscription(settings().site_name, mailing_list.title))
        lifecycle.keep_subscription(session, found, where, now=utc_now())
    return render_template("public/unsubscribe/stayed.html", mailing_list=mailing_list)
