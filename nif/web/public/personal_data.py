"""A subscriber's personal data: as a page, as a file, the consent receipts, and its erasure."""

import json

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from nif.clock import utc_now
from nif.privacy import data_map
from nif.privacy.data_map import person_of_subscriber
from nif.subscriptions.consent import list_consent_receipts
from nif.subscriptions.preferences import get_subscriber_by_token
from nif.web.access import Access, open_to, page_view
from nif.web.current import services, tokens, transaction
from nif.web.files import download_response

blueprint = Blueprint("personal_data", __name__, url_prefix="/preferences/<token>")


@page_view(blueprint, Access.TOKEN, "/data")
def show(session: Session, token: str) -> str:
    subscriber = get_subscriber_by_token(session, token, tokens())
    tables = data_map.export_tables(session, person_of_subscriber(subscriber))
    return render_template(
        "public/personal_data/show.html",
        token=token,
        address=subscriber.address,
        stored=[(entry, rows) for entry, rows in tables if rows and entry.table != "consent"],
        empty=[entry for entry, rows in tables if not rows],
        unexported=data_map.list_unexported_tables(),
    )


@page_view(blueprint, Access.TOKEN, "/data.json")
def download(session: Session, token: str) -> ResponseReturnValue:
    subscriber = get_subscriber_by_token(session, token, tokens())
    data = data_map.export_person(session, person_of_subscriber(subscriber), now=utc_now())
    return download_response(json.dumps(data, indent=2), "personal-data.json")


@page_view(blueprint, Access.TOKEN, "/receipts")
def show_receipts(session: Session, token: str) -> str:
    subscriber = get_subscriber_by_token(session, token, tokens())
    return render_template(
        "public/personal_data/receipts.html",
        token=token,
        address=subscriber.address,
        receipts=list_consent_receipts(session, subscriber.id),
    )


@page_view(blueprint, Access.TOKEN, "/receipts.json")
def download_receipts(session: Session, token: str) -> ResponseReturnValue:
    subscriber = get_subscriber_by_token(session, token, tokens())
    data = data_map.export_receipts(session, person_of_subscriber(subscriber), now=utc_now())
    return download_response(json.dumps(data, indent=2), "receipts.json")


@page_view(blueprint, Access.TOKEN, "/erasure")
def confirm_delete(session: Session, token: str) -> str:
    address = get_subscriber_by_token(session, token, tokens()).address
    return render_template("public/personal_data/confirm_delete.html", token=token, address=address)


@blueprint.post("/erasure")
@open_to(Access.TOKEN)
def delete(token: str) -> str:
    with transaction() as session:
        subscriber = get_subscriber_by_token(session, token, tokens())
        person = person_of_subscriber(subscriber)
        folder, now = services().settings.imports, utc_now()
        data_map.erase_person(session, person, folder, source="the reader's own page", now=now)
    services().database.truncate_wal()
    return render_template("public/personal_data/deleted.html")


OLD_ADDRESSES = {"known": ".show", "known.json": ".download", "forget": ".confirm_delete"}
"""These addresses were given out before they changed. They redirect for good."""


@blueprint.get("/known")
@blueprint.get("/known.json")
@blueprint.route("/forget", methods=["GET", "POST"])
@open_to(Access.TOKEN)
def redirect_old_address(token: str) -> ResponseReturnValue:
    old = request.path.rpartition("/")[2]
    return redirect(url_for(OLD_ADDRESSES[old], token=token), 308)
