"""The register's pages: parties, each with its current and past relationships to NIF."""

from dataclasses import replace
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from nif.clock import utc_now
from nif.errors import Conflict, Invalid
from nif.register import parties
from nif.register import queries as register
from nif.register.models import PartyKind
from nif.register.parties import PartyInput, find_party_by_name, get_party
from nif.web.access import Access, open_to
from nif.web.current import reading, transaction
from nif.web.forms import clean_line, parse_number
from nif.web.newsroom import labels, relationships
from nif.web.newsroom.audit import audit_action
from nif.web.newsroom.register_forms import (
    PartyForm,
    party_form_of,
    party_input_of,
    read_party_form,
)

blueprint = Blueprint("newsroom_register", __name__, url_prefix="/newsroom/register")
blueprint.register_blueprint(relationships.blueprint)

PARTY_PATH = "/<id:party_id>"


@blueprint.get("/")
@open_to(Access.EDITOR)
def index() -> ResponseReturnValue:
    text, after = clean_line(request.args.get("q", "")), request.args.get("after")
    kind = next((kind for kind in PartyKind if kind == request.args.get("kind")), None)
    with reading() as session:
        today = utc_now().date()
        page = register.list_parties(session, on=today, text=text, kind=kind, after=after)
    return render_template(
        "newsroom/register/index.html", page=page, text=text, kind=kind, after=after, labels=labels
    )


@blueprint.get("/new")
@open_to(Access.EDITOR)
def new() -> ResponseReturnValue:
    return _form_page(PartyForm(name=clean_line(request.args.get("name", ""))))


@blueprint.post("/new")
@open_to(Access.EDITOR)
def create() -> ResponseReturnValue:
    form = read_party_form(request.form)
    try:
        with transaction() as session:
            party = parties.add_party(session, _read_party_input(session, form), now=utc_now())
            audit_action(session, "party_added", "party", party.id, name=party.name)
    except Invalid as error:
        return _form_page(form, problems=error.problems), 422
    flash("The party is in the register. Now add its relationships.", "good")
    return redirect(url_for("newsroom_register.show", party_id=party.id), 303)


@blueprint.get(PARTY_PATH)
@open_to(Access.EDITOR)
def show(party_id: int) -> ResponseReturnValue:
    today = utc_now().date()
    with reading() as session:
        party = get_party(session, party_id)
        if party.merged_into_id is not None:
            return redirect(url_for("newsroom_register.show", party_id=party.merged_into_id))
        relationships_of_party = register.list_relationships_of(session, party)
        return render_template(
            "newsroom/register/show.html",
            party=party,
            parent=get_party(session, party.parent_id) if party.parent_id else None,
            child_parties=register.list_child_parties(session, party),
            current=[item for item in relationships_of_party if not item.is_over(today)],
            ended=[item for item in relationships_of_party if item.is_over(today)],
            today=today,
            labels=labels,
        )


@blueprint.get(f"{PARTY_PATH}/edit")
@open_to(Access.EDITOR)
def edit(party_id: int) -> ResponseReturnValue:
    return _form_page(_saved_party_form(party_id), party_id=party_id)


@blueprint.post(f"{PARTY_PATH}/edit")
@open_to(Access.EDITOR)
def update(party_id: int) -> ResponseReturnValue:
    form = read_party_form(request.form)
    try:
        with transaction() as session:
            party = get_party(session, party_id, lock=True)
            party_input = _read_party_input(session, form)
            parties.change_party(
                session,
                party,
                party_input,
                version=parse_number(form.version),
                publisher=relationships.publisher_names(),
            )
            audit_action(session, "party_changed", "party", party_id, name=party.name)
    except Invalid as error:
        return _form_page(form, party_id=party_id, problems=error.problems), 422
    except Conflict as error:
        form = replace(form, version=_saved_party_form(party_id).version)
        return _form_page(form, party_id=party_id, overtaken=str(error)), 409
    flash("Saved.", "good")
    return redirect(url_for("newsroom_register.show", party_id=party_id), 303)


@blueprint.get(f"{PARTY_PATH}/merge")
@open_to(Access.EDITOR)
def confirm_merge(party_id: int) -> ResponseReturnValue:
    return _merge_page(party_id)


@blueprint.post(f"{PARTY_PATH}/merge")
@open_to(Access.EDITOR)
def merge(party_id: int) -> ResponseReturnValue:
    name = clean_line(request.form.get("into", ""))
    try:
        with transaction() as session:
            into = find_party_by_name(session, name)
            if into is None:
                return _merge_page(party_id, name, "There is no party of this name."), 422
            # Locked in the order of the ids, so that two merges never wait for each other.
            ids = sorted({party_id, into.id})
            locked = {each_id: get_party(session, each_id, lock=True) for each_id in ids}
            detail = {"name": locked[party_id].name, "into": into.name}
            parties.merge_parties(
                session,
                locked[party_id],
                locked[into.id],
                publisher=relationships.publisher_names(),
            )
            audit_action(session, "parties_merged", "party", into.id, **detail)
    except Conflict as error:
        return _merge_page(party_id, name, str(error)), 409
    flash("The two parties are merged.", "good")
    return redirect(url_for("newsroom_register.show", party_id=into.id), 303)


@blueprint.post(f"{PARTY_PATH}/delete")
@open_to(Access.EDITOR)
def delete(party_id: int) -> ResponseReturnValue:
    try:
        with transaction() as session:
            party = get_party(session, party_id, lock=True)
            audit_action(session, "party_deleted", "party", party_id, name=party.name)
            parties.delete_party(session, party)
    except Conflict as error:
        flash(str(error))
        return redirect(url_for("newsroom_register.confirm_merge", party_id=party_id), 303)
    flash(f"{party.name} is deleted from the register.", "good")
    return redirect(url_for("newsroom_register.index"), 303)


def _read_party_input(session: Session, form: PartyForm) -> PartyInput:
    parent = find_party_by_name(session, form.parent) if form.parent else None
    return party_input_of(form, parent.id if parent else None)


def _saved_party_form(party_id: int) -> PartyForm:
    with reading() as session:
        party = get_party(session, party_id)
        parent = get_party(session, party.parent_id).name if party.parent_id else ""
        return party_form_of(party, parent)


def _form_page(form: PartyForm, **context: Any) -> str:
    context = {"party_id": None, "problems": {}, "overtaken": "", **context}
    return render_template("newsroom/register/form.html", form=form, labels=labels, **context)


def _merge_page(party_id: int, into: str = "", problem: str = "") -> str:
    with reading() as session:
        party = get_party(session, party_id)
    problems = {"into": problem} if problem else {}
    return render_template(
        "newsroom/register/confirm_merge.html", party=party, into=into, problems=problems
    )
