"""What we know of a reader, as a page and as a file; the receipts; and forgetting them."""

import json

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from nif.clock import utc_now
from nif.rights import erasing, exporting, receipts
from nif.rights.people import person_of
from nif.subscriptions import preferring
from nif.web.access import Access, open_to
from nif.web.current import parts, reading, tokens, transaction
from nif.web.downloads import as_file

blueprint = Blueprint("own_data", __name__, url_prefix="/preferences/<token>")


@blueprint.get("/known")
@open_to(Access.TOKEN)
def known(token: str) -> ResponseReturnValue:
    with reading() as session:
        subscriber = preferring.get_subscriber(session, token, tokens())
        sections = exporting.everything(session, person_of(subscriber))
    return render_template(
        "public/own_data/known.html",
        token=token,
        address=subscriber.address,
        held=[one for one in sections if one.rows and one.table != "consent"],
        empty=[one for one in sections if not one.rows],
        in_passing=exporting.in_passing(),
    )


@blueprint.get("/known.json")
@open_to(Access.TOKEN)
def known_as_json(token: str) -> ResponseReturnValue:
    with reading() as session:
        subscriber = preferring.get_subscriber(session, token, tokens())
        found = exporting.as_data(session, person_of(subscriber), now=utc_now())
    return as_file(json.dumps(found, indent=2), "what-we-know.json")


@blueprint.get("/receipts")
@open_to(Access.TOKEN)
def show_receipts(token: str) -> ResponseReturnValue:
    with reading() as session:
        subscriber = preferring.get_subscriber(session, token, tokens())
        found = receipts.receipts(session, subscriber.id)
    return render_template(
        "public/own_data/receipts.html", token=token, address=subscriber.address, receipts=found
    )


@blueprint.get("/receipts.json")
@open_to(Access.TOKEN)
def receipts_as_json(token: str) -> ResponseReturnValue:
    with reading() as session:
        subscriber = preferring.get_subscriber(session, token, tokens())
        found = exporting.receipts_as_data(session, person_of(subscriber), now=utc_now())
    return as_file(json.dumps(found, indent=2), "receipts.json")


@blueprint.get("/forget")
@open_to(Access.TOKEN)
def ask_to_forget(token: str) -> ResponseReturnValue:
    with reading() as session:
        address = preferring.get_subscriber(session, token, tokens()).address
    return render_template("public/own_data/forget.html", token=token, address=address)


@blueprint.post("/forget")
@open_to(Access.TOKEN)
def forget(token: str) -> ResponseReturnValue:
    with transaction() as session:
        subscriber = preferring.get_subscriber(session, token, tokens())
        person = person_of(subscriber)
        folder, now = parts().settings.imports, utc_now()
        erasing.erase(session, person, folder, source="the reader's own page", now=now)
    parts().database.clear_log()
    return render_template("public/own_data/forgotten.html")
