"""The relationships of a party at the desk: writing one down, changing it, ending it."""

from dataclasses import replace
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from nif.clock import utc_now
from nif.errors import Conflict, Invalid
from nif.register import relating
from nif.register.keeping import get_party
from nif.register.models import Party, Relationship
from nif.register.reading import people
from nif.register.relating import Pen, get_relationship
from nif.register.wording import House
from nif.web.access import Access, open_to
from nif.web.current import reading, settings, transaction
from nif.web.newsroom import register_words as words
from nif.web.newsroom.noting import note_that
from nif.web.newsroom.register_form import (
    RelationshipForm,
    cleaned,
    read_day,
    read_relationship,
    relationship_copy,
    relationship_filled,
)
from nif.web.typed import number

blueprint = Blueprint("relationships", __name__)

OF = f"/<int(max={2**63 - 1}):party_id>/relationships/new"
ONE = f"/relationships/<int(max={2**63 - 1}):relationship_id>"


def house() -> House:
    """What NIF and its owner are called in sentences."""
    return House(settings().site_short_name, settings().owner_name)


@blueprint.get(OF)
@open_to(Access.EDITOR)
def begin(party_id: int) -> ResponseReturnValue:
    with reading() as session:
        party = get_party(session, party_id)
    return _form(party, RelationshipForm())


@blueprint.post(OF)
@open_to(Access.EDITOR)
def add(party_id: int) -> ResponseReturnValue:
    form = read_relationship(request.form)
    with reading() as session:
        party = get_party(session, party_id)
    if "show" in request.form:
        return _shown(party, form)
    try:
        with transaction() as session:
            found = get_party(session, party_id, lock=True)
            made = relating.relate(session, found, relationship_copy(form), _pen())
            _note(session, "relationship_added", made)
    except Invalid as error:
        return _form(party, form, problems=error.problems), 422
    flash("Written down. Stories that name the party are told of it from now on.", "good")
    return redirect(url_for("newsroom_register.party", party_id=party_id), 303)


@blueprint.get(ONE)
@open_to(Access.EDITOR)
def edit(relationship_id: int) -> ResponseReturnValue:
    with reading() as session:
        found = get_relationship(session, relationship_id)
    return _form(
        found.party,
        relationship_filled(found),
        relationship_id=relationship_id,
        shown=(found.sentence, found.afterwards),
        saved=found,
    )


@blueprint.post(ONE)
@open_to(Access.EDITOR)
def change(relationship_id: int) -> ResponseReturnValue:
    form = read_relationship(request.form)
    with reading() as session:
        known = get_relationship(session, relationship_id)
    if "show" in request.form:
        return _shown(known.party, form, relationship_id=relationship_id)
    try:
        with transaction() as session:
            found = get_relationship(session, relationship_id, lock=True)
            copy, seen = relationship_copy(form), number(form.version)
            relating.change(session, found, copy, _pen(), version=seen)
            _note(session, "relationship_changed", found)
    except Invalid as error:
        given = {"relationship_id": relationship_id, "problems": error.problems}
        return _form(known.party, form, **given), 422
    except Conflict as error:
        form = replace(form, version=str(known.version))
        given = {"relationship_id": relationship_id, "overtaken": str(error)}
        return _form(known.party, form, **given), 409
    flash("Saved. Stories that decided about it before are asked again.", "good")
    return redirect(url_for("newsroom_register.party", party_id=known.party_id), 303)


@blueprint.post(f"{ONE}/end")
@open_to(Access.EDITOR)
def end(relationship_id: int) -> ResponseReturnValue:
    typed = cleaned(request.form.get("ended", ""))
    with reading() as session:
        known = get_relationship(session, relationship_id)
    try:
        with transaction() as session:
            found = get_relationship(session, relationship_id, lock=True)
            relating.end(session, found, read_day(typed, "until"), _pen())
            _note(session, "relationship_ended", found)
    except Invalid as error:
        form = replace(relationship_filled(known), until=typed)
        given = {"relationship_id": relationship_id, "problems": error.problems}
        return _form(known.party, form, **given), 422
    flash("It has an end now. It is told until its look-back is over.", "good")
    return redirect(url_for("newsroom_register.party", party_id=known.party_id), 303)


@blueprint.post(f"{ONE}/delete")
@open_to(Access.EDITOR)
def delete(relationship_id: int) -> ResponseReturnValue:
    try:
        with transaction() as session:
            found = get_relationship(session, relationship_id, lock=True)
            _note(session, "relationship_deleted", found)
            relating.delete(session, found, _pen())
    except Conflict as error:
        flash(str(error))
        address = url_for("newsroom_register.relationships.edit", relationship_id=relationship_id)
        return redirect(address, 303)
    flash("It is taken away.", "good")
    return redirect(url_for("newsroom_register.party", party_id=found.party_id), 303)


def _note(session: Session, what: str, one: Relationship) -> None:
    said = {"name": one.party.name, "says": one.sentence}
    note_that(session, what, "party", one.party_id, **said)


def _pen() -> Pen:
    return Pen(house(), current_user.id, utc_now())


def _shown(party: Party, form: RelationshipForm, **given: Any) -> ResponseReturnValue:
    """The form again with the sentence that it would make; nothing is saved."""
    try:
        with reading() as session:
            sketch = relating.sketch(session, party, relationship_copy(form), house())
    except Invalid as error:
        return _form(party, form, problems=error.problems, **given), 422
    return _form(party, form, shown=(sketch.sentence, sketch.afterwards), **given)


def _form(party: Party, form: RelationshipForm, **given: Any) -> str:
    with reading() as session:
        staff = people(session)
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
