"""The relationships of a party: adding, editing, ending and deleting them."""

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
from nif.web.forms import clean_line, parse_number
from nif.web.newsroom import labels
from nif.web.newsroom.audit import audit_action
from nif.web.newsroom.register_forms import (
    RelationshipForm,
    parse_required_date,
    read_relationship_form,
    relationship_form_of,
    relationship_input_of,
)

blueprint = Blueprint("relationships", __name__)

NEW_RELATIONSHIP_PATH = "/<id:party_id>/relationships/new"
RELATIONSHIP_PATH = "/relationships/<id:relationship_id>"


def publisher_names() -> PublisherNames:
    """The names of NIF and its owner in disclosure sentences."""
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
            party = get_party(session, party_id, lock=True)
            relationship = relationships.add_relationship(
                session, party, relationship_input_of(form), _register_context()
            )
            _audit_relationship_action(session, "relationship_added", relationship)
    except Invalid as error:
        return _form_page(party, form, problems=error.problems), 422
    flash("Added. Stories that name the party will disclose it from now on.", "good")
    return redirect(url_for("newsroom_register.show", party_id=party_id), 303)


@blueprint.get(RELATIONSHIP_PATH)
@open_to(Access.EDITOR)
def edit(relationship_id: int) -> ResponseReturnValue:
    with reading() as session:
        relationship = get_relationship(session, relationship_id)
    return _form_page(
        relationship.party,
        relationship_form_of(relationship),
        relationship_id=relationship_id,
        sentences=(relationship.current_sentence, relationship.past_sentence),
        saved=relationship,
    )


@blueprint.post(RELATIONSHIP_PATH)
@open_to(Access.EDITOR)
def update(relationship_id: int) -> ResponseReturnValue:
    form = read_relationship_form(request.form)
    with reading() as session:
        before = get_relationship(session, relationship_id)
    if "show" in request.form:
        return _preview_page(before.party, form, relationship_id=relationship_id)
    try:
        with transaction() as session:
            relationship = get_relationship(session, relationship_id, lock=True)
            relationships.change_relationship(
                session,
                relationship,
                relationship_input_of(form),
                _register_context(),
                version=parse_number(form.version),
            )
            _audit_relationship_action(session, "relationship_changed", relationship)
    except Invalid as error:
        context = {"relationship_id": relationship_id, "problems": error.problems}
        return _form_page(before.party, form, **context), 422
    except Conflict as error:
        form = replace(form, version=str(before.version))
        context = {"relationship_id": relationship_id, "overtaken": str(error)}
        return _form_page(before.party, form, **context), 409
    flash("Saved. Stories that had decided about it must decide again.", "good")
    return redirect(url_for("newsroom_register.show", party_id=before.party_id), 303)


@blueprint.post(f"{RELATIONSHIP_PATH}/end")
@open_to(Access.EDITOR)
def end(relationship_id: int) -> ResponseReturnValue:
    last_day = clean_line(request.form.get("ended", ""))
    with reading() as session:
        before = get_relationship(session, relationship_id)
    try:
        with transaction() as session:
            relationship = get_relationship(session, relationship_id, lock=True)
            relationships.end_relationship(
                session, relationship, parse_required_date(last_day, "until"), _register_context()
            )
            _audit_relationship_action(session, "relationship_ended", relationship)
    except Invalid as error:
        form = replace(relationship_form_of(before), until=last_day)
        context = {"relationship_id": relationship_id, "problems": error.problems}
        return _form_page(before.party, form, **context), 422
    flash("The end is recorded. It is disclosed until its look-back period is over.", "good")
    return redirect(url_for("newsroom_register.show", party_id=before.party_id), 303)


@blueprint.post(f"{RELATIONSHIP_PATH}/delete")
@open_to(Access.EDITOR)
def delete(relationship_id: int) -> ResponseReturnValue:
    try:
        with transaction() as session:
            relationship = get_relationship(session, relationship_id, lock=True)
            _audit_relationship_action(session, "relationship_deleted", relationship)
            relationships.delete_relationship(session, relationship, _register_context())
    except Conflict as error:
        flash(str(error))
        address = url_for("newsroom_register.relationships.edit", relationship_id=relationship_id)
        return redirect(address, 303)
    flash("The relationship is deleted.", "good")
    return redirect(url_for("newsroom_register.show", party_id=relationship.party_id), 303)


def _audit_relationship_action(session: Session, action: str, relationship: Relationship) -> None:
    detail = {"name": relationship.party.name, "sentence": relationship.current_sentence}
    audit_action(session, action, "party", relationship.party_id, **detail)


def _register_context() -> RegisterContext:
    return RegisterContext(publisher_names(), current_user.id, utc_now())


def _preview_page(party: Party, form: RelationshipForm, **context: Any) -> ResponseReturnValue:
    """The form with a preview of its sentence. Nothing is saved."""
    try:
        with reading() as session:
            preview = relationships.preview_relationship(
                session, party, relationship_input_of(form), publisher_names()
            )
    except Invalid as error:
        return _form_page(party, form, problems=error.problems, **context), 422
    return _form_page(
        party, form, sentences=(preview.current_sentence, preview.past_sentence), **context
    )


def _form_page(party: Party, form: RelationshipForm, **context: Any) -> str:
    with reading() as session:
        staff = list_staff_accounts(session)
    context = {
        "relationship_id": None,
        "problems": {},
        "overtaken": "",
        "sentences": None,
        "saved": None,
        "today": utc_now().date(),
        **context,
    }
    return render_template(
        "newsroom/relationships/form.html",
        party=party,
        form=form,
        staff=staff,
        labels=labels,
        **context,
    )
