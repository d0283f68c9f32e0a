"""What we know of a reader, as a page and as a file; the receipts; and forgetting them."""

import json

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from nif.clock import utc_now
from nif.privacy import consent_receipts, erasure, export
from nif.privacy.person import person_of_subscriber
from nif.subscriptions import preferences
from nif.web.access import Access, open_to
from nif.web.current import reading, services, tokens, transaction
from nif.web.downloads import download_response

blueprint = Blueprint("personal_data", __name__, url_prefix="/preferences/<token>")


@blueprint.get("/known")
@open_to(Access.TOKEN)
def show(token: str) -> ResponseReturnValue:
    with reading() as session:
        subscriber = preferences.get_subscriber_by_token(session, token, tokens())
        sections = export.export_sections(session, person_of_subscriber(subscriber))
    return render_template(
        "public/personal_data/show.html",
        token=token,
        address=subscriber.address,
        held=[one for one in sections if one.rows and one.table != "consent"],
        empty=[one for one in sections if not one.rows],
        in_passing=export.list_unexported_tables(),
    )


@blueprint.get("/known.json")
@open_to(Access.TOKEN)
def download(token: str) -> ResponseReturnValue:
    with reading() as session:
        subscriber = preferences.get_subscriber_by_token(session, token, tokens())
        found = export.export_person(session, person_of_subscriber(subscriber), now=utc_now())
    return download_response(json.dumps(found, indent=2), "what-we-know.json")


@blueprint.get("/receipts")
@open_to(Access.TOKEN)
def show_receipts(token: str) -> ResponseReturnValue:
    with reading() as session:
        subscriber = preferences.get_subscriber_by_token(session, token, tokens())
        found = consent_receipts.list_consent_receipts(session, subscriber.id)
    return render_template(
        "public/personal_data/receipts.html",
        token=token,
        address=subscriber.address,
        receipts=found,
    )


@blueprint.get("/receipts.json")
@open_to(Access.TOKEN)
def download_receipts(token: str) -> ResponseReturnValue:
    with reading() as session:
        subscriber = preferences.get_subscriber_by_token(session, token, tokens())
        found = export.export_receipts(session, person_of_subscriber(subscriber), now=utc_now())
    return download_response(json.dumps(found, indent=2), "receipts.json")


@blueprint.get("/forget")
@open_to(Access.TOKEN)
def confirm_delete(token: str) -> ResponseReturnValue:
    with reading() as session:
        address = preferences.get_subscriber_by_token(session, token, tokens()).address
    return render_template("public/personal_data/confirm_delete.html", token=token, address=address)


@blueprint.post("/forget")
@open_to(Access.TOKEN)
def delete(token: str) -> ResponseReturnValue:
    with transaction() as session:
        subscriber = preferences.get_subscriber_by_token(session, token, tokens())
        person = person_of_subscriber(subscriber)
        folder, now = services().settings.imports, utc_now()
        erasure.erase_person(session, person, folder, source="the reader's own page", now=now)
    services().database.clear_log()
    return render_template("public/personal_data/deleted.html")
