"""What somebody asked an admin for: a copy of all that is known of them, or to be forgotten."""

import json

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from nif.accounts.auditing import note
from nif.audience import telling
from nif.clock import utc_now
from nif.rights import erasing, exporting
from nif.rights.people import person_of
from nif.web.access import Access, open_to
from nif.web.current import parts, reading, transaction
from nif.web.downloads import as_file

blueprint = Blueprint("erasing", __name__)

ONE = f"/<int(max={2**63 - 1}):subscriber_id>"


@blueprint.get(f"{ONE}/everything.json")
@open_to(Access.ADMIN)
def everything(subscriber_id: int) -> ResponseReturnValue:
    with reading() as session:
        known = telling.get_subscriber(session, subscriber_id)
        found = exporting.as_data(session, person_of(known), now=utc_now())
    return as_file(json.dumps(found, indent=2), f"subscriber-{subscriber_id}.json")


@blueprint.get(f"{ONE}/erase")
@open_to(Access.ADMIN)
def ask(subscriber_id: int) -> ResponseReturnValue:
    with reading() as session:
        known = telling.get_subscriber(session, subscriber_id)
    return render_template("admin/erasing/ask.html", subscriber=known)


@blueprint.post(f"{ONE}/erase")
@open_to(Access.ADMIN)
def erase(subscriber_id: int) -> ResponseReturnValue:
    folder, now = parts().settings.imports, utc_now()
    with transaction() as session:
        person = person_of(telling.get_subscriber(session, subscriber_id))
        erasing.erase(session, person, folder, source="an admin", now=now)
        who = str(person.id)
        note(session, current_user, "subscriber_erased", kind="subscriber", subject=who, now=now)
    parts().database.clear_log()
    flash("Erased. No list, form or import can mail this reader again.", "good")
    return redirect(url_for("admin_subscribers.find"), 303)
