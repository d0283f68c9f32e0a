"""The register: parties, and their relationships to NIF, its owner and its staff."""

from dataclasses import fields
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session
from wtforms.validators import ValidationError

from nif.accounts.accounts import list_accounts
from nif.clock import utc_now
from nif.errors import Invalid
from nif.register import parties, relationships
from nif.register.models import (
    AmountBand,
    Materiality,
    OurSide,
    Party,
    PartyKind,
    Relationship,
    RelationshipVisibility,
)
from nif.register.parties import PartyInput, find_party_by_name, get_party
from nif.register.relationship_types import RELATIONSHIP_TYPES, PublisherNames
from nif.register.relationships import RegisterContext, RelationshipInput, get_relationship
from nif.web.access import Access, page_view
from nif.web.current import reading, settings
from nif.web.forms import Choice, Day, Form, Hidden, Line, Lines, clean_line, parse_number
from nif.web.staff_actions import StaffAction, staff_action

blueprint = Blueprint("newsroom_register", __name__, url_prefix="/newsroom/register")

PARTY_PATH = "/<id:party_id>"
RELATIONSHIP_PATH = "/relationships/<id:relationship_id>"
PARTY_KINDS = {
    PartyKind.PERSON: ("A person", "People"),
    PartyKind.COMPANY: ("A company", "Companies"),
    PartyKind.PRODUCT: ("A product", "Products"),
    PartyKind.EVENT: ("An event", "Events"),
    PartyKind.WORK: ("A work", "Works"),
    PartyKind.PUBLIC_BODY: ("A public body", "Public bodies"),
    PartyKind.OTHER: ("Something else", "Others"),
}
"""What one party of the kind is called, and many."""

OUR_SIDES = {
    OurSide.NIF: "NIF itself",
    OurSide.OWNER: "Our parent company",
    OurSide.PRODUCT: "A product of our parent company",
    OurSide.ACCOUNT: "A person who works here",
}
MATERIALITIES = {
    Materiality.ALWAYS: "Always disclosed",
    Materiality.DEFAULT: "Disclosed unless two people waive it",
    Materiality.CONTEXT: "Disclosed where the story touches on it",
}
VISIBILITIES = {
    RelationshipVisibility.PUBLIC: "Also on the public relationships page",
    RelationshipVisibility.MATCH_ONLY: "Only under stories that name the party",
}
AMOUNT_BANDS = {
    AmountBand.NONE: "Not given, or not about money",
    AmountBand.UNDER_50: "Less than €50",
    AmountBand.UNDER_250: "€50 to €250",
    AmountBand.UNDER_1000: "€250 to €1,000",
    AmountBand.UNDER_10000: "€1,000 to €10,000",
    AmountBand.OVER_10000: "More than €10,000",
}
UNLIMITED = "unlimited"
LOOKBACK_PERIODS = {
    "0": "Not disclosed once it has ended",
    "12": "A year",
    "24": "Two years",
    "36": "Three years",
    "60": "Five years",
    UNLIMITED: "No limit",
}


class PartyForm(Form):
    """A party: one alias, domain or address per line, its parent by name."""

    name = Line("Name", most=200)
    kind = Choice(
        "Kind", {kind: one for kind, (one, _) in PARTY_KINDS.items()}, default=PartyKind.COMPANY
    )
    aliases = Lines("Other names, one per line", most=12_000)
    parent = Line("Part of", most=200)
    domains = Lines("Domains, one per line", most=14_000)
    same_as = Lines("Other addresses, one per line", most=100_000)
    version = Hidden(default="0")

    @classmethod
    def of_party(cls, session: Session, party: Party) -> "PartyForm":
        return cls(
            name=party.name,
            kind=party.kind,
            aliases="\n".join(alias.name for alias in party.aliases),
            domains="\n".join(party.domains),
            same_as="\n".join(party.same_as),
            parent=get_party(session, party.parent_id).name if party.parent_id else "",
            version=str(party.version),
        )

    def party(self, session: Session) -> PartyInput:
        """Raises Invalid for an unknown parent."""
        parent = find_party_by_name(session, self.parent.data) if self.parent.data else None
        if self.parent.data and parent is None:
            sentence = "There is no party with this name in the register. Add it first."
            raise Invalid({"parent": sentence})
        return PartyInput(
            name=self.name.data,
            kind=self.kind.data,
            aliases=self.aliases.lines,
            domains=self.domains.lines,
            same_as=self.same_as.lines,
            parent_id=parent.id if parent else None,
        )


class MergeForm(Form):
    into = Line("Name of the party to keep", most=200)


class RelationshipForm(Form):
    """A relationship. Empty terms follow the defaults of its type. `show` asks for a preview."""

    type = Choice(
        "Type of relationship", {type_: rules.label for type_, rules in RELATIONSHIP_TYPES.items()}
    )
    our_side = Choice("On our side", OUR_SIDES, default=OurSide.NIF)
    account_id = Choice("Person on our side, if any", empty="Nobody")
    our_side_name = Line("Name that readers see", most=100)
    detail = Line("What or where", most=200)
    since = Day("Since")
    until = Day("Until")
    amount_band = Choice("Approximate value", AMOUNT_BANDS, default=AmountBand.NONE)
    custom_sentence = Line("Custom sentence", most=400)
    evidence_url = Line("Evidence", most=2000)
    materiality = Choice("When", MATERIALITIES, empty="Default")
    visibility = Choice("Where", VISIBILITIES, empty="Default")
    lookback_months = Choice("How long after it ends", empty="Default")
    version = Hidden(default="0")
    show = Hidden()

    def validate_lookback_months(self, field: Choice) -> None:
        if field.data and field.data != UNLIMITED and not field.data.isdecimal():
            raise ValidationError(field.problem)

    def relationship(self) -> RelationshipInput:
        names = (field.name for field in fields(RelationshipInput) if field.name in self)
        values = {name: self[name].data for name in names}
        months = self.lookback_months.data
        limited = parse_number(months) if months else relationships.DEFAULT_LOOKBACK
        values["lookback_months"] = None if months == UNLIMITED else limited
        values["account_id"] = parse_number(self.account_id.data or "") or None
        values["since"], values["until"] = self.since.day, self.until.day
        return RelationshipInput(**values)


class EndForm(Form):
    ended = Day("Last day")


def _relationship_form_of(relationship: Relationship) -> RelationshipForm:
    """The form of a saved relationship.

    Terms that equal the type's defaults stay empty, so that they follow when the type changes.
    """
    rules = RELATIONSHIP_TYPES[relationship.type]
    values: dict[str, Any] = {**vars(relationships.relationship_input_of(relationship))}
    for name in ("lookback_months", "materiality", "visibility"):
        if values[name] == getattr(rules, name):
            values[name] = ""  # Not None, which is a look-back without limit.
    if values["lookback_months"] is None:
        values["lookback_months"] = UNLIMITED
    if rules.is_single_day and values["until"] == values["since"]:
        values["until"] = None
    return RelationshipForm(data={**values, "version": str(relationship.version)})


def publisher_names() -> PublisherNames:
    """The names of NIF and its owner in disclosure sentences."""
    return PublisherNames(settings().site_short_name, settings().owner_name)


@page_view(blueprint, Access.EDITOR, "/")
def index(session: Session) -> str:
    text, after = clean_line(request.args.get("q", "")), request.args.get("after")
    kind = next((kind for kind in PartyKind if kind == request.args.get("kind")), None)
    today = utc_now().date()
    return render_template(
        "newsroom/register/index.html",
        page=parties.list_parties(session, on=today, text=text, kind=kind, after=after),
        text=text,
        kind=kind,
        after=after,
        kinds=PARTY_KINDS,
    )


@page_view(blueprint, Access.EDITOR, PARTY_PATH)
def show(session: Session, party_id: int) -> ResponseReturnValue:
    today = utc_now().date()
    party = get_party(session, party_id)
    if party.merged_into_id is not None:
        return redirect(url_for(".show", party_id=party.merged_into_id))
    all_of_party = relationships.list_relationships_of(session, party)
    return render_template(
        "newsroom/register/show.html",
        party=party,
        parent=get_party(session, party.parent_id) if party.parent_id else None,
        child_parties=parties.list_child_parties(session, party),
        current=[one for one in all_of_party if not one.is_over(today)],
        ended=[one for one in all_of_party if one.is_over(today)],
        today=today,
        kinds=PARTY_KINDS,
        materialities=MATERIALITIES,
        relationship_types=RELATIONSHIP_TYPES,
    )


@page_view(blueprint, Access.EDITOR, "/new", f"{PARTY_PATH}/edit")
def edit(session: Session, party_id: int = 0, form: PartyForm | None = None) -> str:
    party = get_party(session, party_id) if party_id else None
    if party and form and form.conflict:
        form.version.data = party.version
    if form is None:
        typed = clean_line(request.args.get("name", ""))
        form = PartyForm.of_party(session, party) if party else PartyForm(name=typed)
    return render_template("newsroom/register/form.html", form=form, party_id=party_id)


@blueprint.post("/new")
@blueprint.post(f"{PARTY_PATH}/edit")
@staff_action(Access.EDITOR, PartyForm, page=edit)
def save(action: StaffAction, form: PartyForm, party_id: int = 0) -> ResponseReturnValue:
    session, message = action.session, "The party is in the register. Now add its relationships."
    if party_id:
        party, version = get_party(session, party_id, lock=True), form.version.number
        values, publisher, message = form.party(session), publisher_names(), "Saved."
        parties.change_party(session, party, values, version=version, publisher=publisher)
    else:
        party = parties.add_party(session, form.party(session), now=action.now)
    entry = "party_changed" if party_id else "party_added"
    action.audit(entry, "party", party.id, name=party.name)
    return action.done(message, url_for(".show", party_id=party.id))


@page_view(blueprint, Access.EDITOR, f"{PARTY_PATH}/merge")
def confirm_merge(session: Session, party_id: int, form: MergeForm | None = None) -> str:
    form = form or MergeForm()
    party = get_party(session, party_id)
    if form.conflict:
        form.into.errors = [form.conflict]
    return render_template("newsroom/register/confirm_merge.html", party=party, form=form)


@blueprint.post(f"{PARTY_PATH}/merge")
@staff_action(Access.EDITOR, MergeForm, page=confirm_merge)
def merge(action: StaffAction, form: MergeForm, party_id: int) -> ResponseReturnValue:
    into = find_party_by_name(action.session, form.into.data)
    if into is None:
        raise Invalid({"into": "There is no party of this name."})
    # Locked in the order of the ids, so that two merges never wait for each other.
    ids = sorted({party_id, into.id})
    locked = {each_id: get_party(action.session, each_id, lock=True) for each_id in ids}
    detail = {"name": locked[party_id].name, "into": into.name}
    parties.merge_parties(
        action.session, locked[party_id], locked[into.id], publisher=publisher_names()
    )
    action.audit("parties_merged", "party", into.id, **detail)
    return action.done("The two parties are merged.", url_for(".show", party_id=into.id))


@blueprint.post(f"{PARTY_PATH}/delete")
@staff_action(Access.EDITOR, refused_to=".confirm_merge")
def delete(action: StaffAction, party_id: int) -> ResponseReturnValue:
    party = get_party(action.session, party_id, lock=True)
    action.audit("party_deleted", "party", party_id, name=party.name)
    parties.delete_party(action.session, party)
    return action.done(f"{party.name} is deleted from the register.", url_for(".index"))


@page_view(blueprint, Access.EDITOR, RELATIONSHIP_PATH, f"{PARTY_PATH}/relationships/new")
def show_relationship(
    session: Session,
    party_id: int = 0,
    relationship_id: int = 0,
    form: RelationshipForm | None = None,
    *,
    is_preview: bool = False,
) -> str:
    """The form as it was sent, also with the sentences that it makes; or the saved relationship."""
    saved = get_relationship(session, relationship_id) if relationship_id else None
    party = saved.party if saved else get_party(session, party_id)
    told = saved if form is None else None
    if form is None:
        form = _relationship_form_of(saved) if saved else RelationshipForm()
    if is_preview:
        told = relationships.preview_relationship(
            session, party, form.relationship(), publisher_names()
        )
    if saved and form.conflict:
        form.version.data = saved.version
    staff = list_accounts(session)
    form.account_id.labels = {str(account.id): account.name for account in staff}
    months = str(form.lookback_months.data or "0")
    label = LOOKBACK_PERIODS.get(months, f"{months} months")
    form.lookback_months.labels = {**LOOKBACK_PERIODS, months: label}
    return render_template(
        "newsroom/register/relationship.html",
        party=party,
        form=form,
        relationship_id=relationship_id,
        told=told,
        may_end=told is not None and told is saved,
        end_form=EndForm(ended=utc_now().date()),
        relationship_types=RELATIONSHIP_TYPES,
    )


@blueprint.post(f"{PARTY_PATH}/relationships/new")
@blueprint.post(RELATIONSHIP_PATH)
@staff_action(Access.EDITOR, RelationshipForm, page=show_relationship)
def save_relationship(
    action: StaffAction, form: RelationshipForm, party_id: int = 0, relationship_id: int = 0
) -> ResponseReturnValue:
    if form.show.data:
        return show_relationship(party_id, relationship_id, form, is_preview=True)
    session, values, context = action.session, form.relationship(), _context(action)
    if relationship_id:
        entry, version = "relationship_changed", form.version.number
        message = "Saved. Stories that had decided about it must decide again."
        saved = get_relationship(session, relationship_id, lock=True)
        relationships.change_relationship(session, saved, values, context, version=version)
    else:
        entry = "relationship_added"
        message = "Added. Stories that name the party will disclose it from now on."
        party = get_party(session, party_id, lock=True)
        saved = relationships.add_relationship(session, party, values, context)
    _audit_relationship(action, entry, saved)
    return action.done(message, url_for(".show", party_id=saved.party_id))


def _end_page(form: EndForm, relationship_id: int) -> str:
    """The whole relationship, with the problem at its end."""
    with reading() as session:
        whole = _relationship_form_of(get_relationship(session, relationship_id))
    whole.until.data, whole.until.errors = form.ended.data, list(form.problems.values())
    return show_relationship(relationship_id=relationship_id, form=whole)


@blueprint.post(f"{RELATIONSHIP_PATH}/end")
@staff_action(Access.EDITOR, EndForm, page=_end_page)
def end_relationship(
    action: StaffAction, form: EndForm, relationship_id: int
) -> ResponseReturnValue:
    relationship = get_relationship(action.session, relationship_id, lock=True)
    if form.ended.day is None:
        raise Invalid({"until": "Give a date."})
    relationships.end_relationship(action.session, relationship, form.ended.day, _context(action))
    _audit_relationship(action, "relationship_ended", relationship)
    message = "The end is recorded. It is disclosed until its look-back period is over."
    return action.done(message, url_for(".show", party_id=relationship.party_id))


@blueprint.post(f"{RELATIONSHIP_PATH}/delete")
@staff_action(Access.EDITOR, refused_to=".show_relationship")
def delete_relationship(action: StaffAction, relationship_id: int) -> ResponseReturnValue:
    relationship = get_relationship(action.session, relationship_id, lock=True)
    _audit_relationship(action, "relationship_deleted", relationship)
    relationships.delete_relationship(action.session, relationship, _context(action))
    address = url_for(".show", party_id=relationship.party_id)
    return action.done("The relationship is deleted.", address)


def _audit_relationship(action: StaffAction, entry: str, relationship: Relationship) -> None:
    detail = {"name": relationship.party.name, "sentence": relationship.current_sentence}
    action.audit(entry, "party", relationship.party_id, **detail)


def _context(action: StaffAction) -> RegisterContext:
    return RegisterContext(publisher_names(), current_user.id, action.now)
