"""A re-permission mail's link: the question whether to stay subscribed, and its button."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from nif.clock import utc_now
from nif.subscriptions import repermission
from nif.subscriptions.consent import wording_of_subscription
from nif.subscriptions.models import SubscriptionState
from nif.web.access import Access, open_to
from nif.web.current import consent_context, reading, settings, tokens, transaction

blueprint = Blueprint("repermission", __name__)


@blueprint.get("/stay/<token>")
@open_to(Access.TOKEN)
def confirm(token: str) -> ResponseReturnValue:
    with reading() as session:
        found = repermission.get_subscription_to_keep(session, token, tokens())
        return render_template(
            "public/repermission/confirm.html",
            mailing_list=found.mailing_list,
            is_reader=found.state is SubscriptionState.CONFIRMED,
            may_stay=repermission.may_keep_subscription(session, found, now=utc_now()),
        )


@blueprint.post("/stay/<token>")
@open_to(Access.TOKEN)
def update(token: str) -> ResponseReturnValue:
    with transaction() as session:
        found = repermission.get_subscription_to_keep(session, token, tokens())
        where = consent_context(
            wording_of_subscription(settings().site_name, found.mailing_list.title)
        )
        repermission.keep_subscription(session, found, where, now=utc_now())
        mailing_list = found.mailing_list
    return render_template("public/repermission/done.html", mailing_list=mailing_list)
