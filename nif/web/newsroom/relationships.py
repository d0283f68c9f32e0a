"""The relationships of a party at the desk: writing one down, changing it, ending it."""

from dataclasses import replace
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from nif.clock import utc_now
from nif.errors import Conflict, Invalid
from nif.register import relationships
from nif.register.models import Party, Relationship
from nif.register.parties import get_party
from nif.register.queries import list_staff_accounts
from nif.register.relationship_types import PublisherNames
from nif.register.relationships import RegisterContext, get_relationship
from nif.web.access import Access, open_to
from nif.web.current import reading, settings, transaction
from nif.web.forms import parse_number
from nif.web.newsroom import labels as words
from nif.web.newsroom.audit import audit_action
from nif.web.newsroom.register_forms import (
    RelationshipForm,
    clean_line,
    parse_required_date,
    read_relationship_form,
    relationship_copy_of,
    relationship_form_of,
)

blueprint = Blueprint("relationships", __name__)

NEW_RELATIONSHIP_PATH = f"/<int(max={2**63 - 1}):party_id>/relationships/new"
RELATIONSHIP_PATH = f"/relationships/<int(max={2**63 - 1}):relationship_id>"


def organisation_names() -> PublisherNames:
    """What NIF and its owner are called in sentences."""
    return PublisherNames(settings().site_short_name, settings().owner_name)


@blueprint.get(NEW_RELATIONSHIP_PATH)
@open_to(Access.EDITOR)
def new(party_id: int) -> ResponseReturnValue:
    with reading() as session:
        party = get_party(session, party_id)
    return _form_page(party, RelationshipForm())


@blueprint.post(NEW_RELATIONSHIP_PATH)
@open_to(Access.EDITOR)
def create(party_id: int) -> ResponseReturnValue:
    form = read_relationship_form(request.form)
    with reading() as session:
        party = get_party(session, party_id)
    if "show" in request.form:
        return _preview_page(party, form)
    try:
        with transaction() as session:
            found = get_party(session, party_id, lock=True)
            made = relationships.add_relationship(
                session, found, relationship_copy_of(form), _edit_context()
            )
            _audit_relationship_action(session, "relationship_added", made)
    except Invalid as error:
        return _form_page(party, form, problems=error.problems), 422
    flash("Written down. Stories that name the party are told of it from now on.", "good")
    return redirect(url_for("newsroom_register.show", party_id=party_id), 303)


@blueprint.get(RELATIONSHIP_PATH)
@open_to(Access.EDITOR)
def edit(relationship_id: int) -> ResponseReturnValue:
    with reading() as session:
        found = get_relationship(session, relationship_id)
    return _form_page(
        found.party,
        relationship_form_of(found),
        relationship_id=relationship_id,
        shown=(found.current_sentence, found.past_sentence),
        saved=found,
    )


@blueprint.post(RELATIONSHIP_PATH)
@open_to(Access.EDITOR)
def update(relationship_id: int) -> ResponseReturnValue:
    form = read_relationship_form(request.form)
    with reading() as session:
        known = get_relationship(session, relationship_id)
    if "show" in request.form:
        return _preview_page(known.party, form, relationship_id=relationship_id)
    try:
        with transaction() as session:
            found = get_relationship(session, relationship_id, lock=True)
            copy, seen = relationship_copy_of(form), parse_number(form.version)
            relationships.change_relationship(session, found, copy, _edit_context(), version=seen)
            _audit_relationship_action(session, "relationship_changed", found)
    except Invalid as error:
        given = {"relationship_id": relationship_id, "problems": error.problems}
        return _form_page(known.party, form, **given), 422
    except Conflict as error:
        form = replace(form, version=str(known.version))
        given = {"relationship_id": relationship_id, "overtaken": str(error)}
        return _form_page(known.party, form, **given), 409
    flash("Saved. Stories that decided about it before are asked again.", "good")
    return redirect(url_for("newsroom_register.show", party_id=known.party_id), 303)


@blueprint.post(f"{RELATIONSHIP_PATH}/end")
@open_to(Access.EDITOR)
def end(relationship_id: int) -> ResponseReturnValue:
    typed = clean_line(request.form.get("ended", ""))
    with reading() as session:
        known = get_relationship(session, relationship_id)
    try:
        with transaction() as session:
            found = get_relationship(session, relationship_id, lock=True)
            relationships.end_relationship(
                session, found, parse_required_date(typed, "until"), _edit_context()
            )
            _audit_relationship_action(session, "relationship_ended", found)
    except Invalid as error:
        form = replace(relationship_form_of(known), until=typed)
        given = {"relationship_id": relationship_id, "problems": error.problems}
        return _form_page(known.party, form, **given), 422
    flash("It has an end now. It is told until its look-back is over.", "good")
    return redirect(url_for("newsroom_register.show", party_id=known.party_id), 303)


@blueprint.post(f"{RELATIONSHIP_PATH}/delete")
@open_to(Access.EDITOR)
def delete(relationship_id: int) -> ResponseReturnValue:
    try:
        with transaction() as session:
            found = get_relationship(session, relationship_id, lock=True)
            _audit_relationship_action(session, "relationship_deleted", found)
            relationships.delete_relationship(session, found, _edit_context())
    except Conflict as error:
        flash(str(error))
        address = url_for("newsroom_register.relationships.edit", relationship_id=relationship_id)
        return redirect(address, 303)
    flash("It is taken away.", "good")
    return redirect(url_for("newsroom_register.show", party_id=found.party_id), 303)


def _audit_relationship_action(session: Session, what: str, one: Relationship) -> None:
    said = {"name": one.party.name, "says": one.current_sentence}
    audit_action(session, what, "party", one.party_id, **said)


def _edit_context() -> RegisterContext:
    return RegisterContext(organisation_names(), current_user.id, utc_now())


def _preview_page(party: Party, form: RelationshipForm, **given: Any) -> ResponseReturnValue:
    """The form again with the sentence that it would make; nothing is saved."""
    try:
        with reading() as session:
            sketch = relationships.preview_relationship(
                session, party, relationship_copy_of(form), organisation_names()
            )
    except Invalid as error:
        return _form_page(party, form, problems=error.problems, **given), 422
    return _form_page(party, form, shown=(sketch.current_sentence, sketch.past_sentence), **given)


def _form_page(party: Party, form: RelationshipForm, **given: Any) -> str:
    with reading() as session:
        staff = list_staff_accounts(session)
    given = {
        "relationship_id": None,
        "problems": {},
        "overtaken": "",
        "shown": None,
        "saved": None,
        "today": utc_now().date(),
        **given,
    }
    return render_template(
        "newsroom/relationships/form.html",
        party=party,
        form=form,
        staff=staff,
        words=words,
        **given,
    )
