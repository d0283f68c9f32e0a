"""The register's pages."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from nif.accounts.models import RoleName
from nif.database import Database
from nif.register.models import Party, PartyKind
from tests.register.entries import a_party, a_relationship
from tests.web.newsroom.staff import signed_in, text_of, without_tokens

HOSTILE = "<script>alert('x')</script> & \"Sons\""
WHOLE = {
    "name": "Universal Music Group",
    "kind": "company",
    "aliases": "UMG\r\n\r\n Universal \r\n",
    "parent": "Vivendi",
    "domains": "umusic.com",
    "same_as": "https://www.wikidata.org/wiki/Q38903",
}


def parties(database: Database) -> list[Party]:
    with database.reading() as session:
        found = session.scalars(select(Party).order_by(Party.id)).all()
        return list(found)


def test_an_empty_register_offers_to_add_a_party(editor: FlaskClient) -> None:
    assert "The register is empty. Add a party" in text_of(editor.get("/newsroom/register/").text)


def test_a_party_is_added_shown_and_edited(editor: FlaskClient, database: Database) -> None:
    with database.transaction() as session:
        a_party(session, "Vivendi")

    answer = editor.post("/newsroom/register/new", data=WHOLE, follow_redirects=True)

    assert answer.status_code == 200
    page = text_of(answer.text)
    for words in ("Universal Music Group", "UMG, Universal", "Part of Vivendi", "umusic.com"):
        assert words in page
    party = parties(database)[1]
    form = editor.get(f"/newsroom/register/{party.id}/edit").text
    assert 'value="Vivendi"' in form
    assert ">\nUMG\nUniversal</textarea>" in form
    changes = {**WHOLE, "name": "UMG", "aliases": "", "version": "1", "parent": ""}
    answer = editor.post(f"/newsroom/register/{party.id}/edit", data=changes)
    assert answer.status_code == 303
    assert [each.name for each in parties(database)] == ["Vivendi", "UMG"]
    assert parties(database)[1].parent_id is None


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": ""}, "name"),
        ({"kind": "planet"}, "kind"),
        ({"parent": "Nobody Knows"}, "parent"),
        ({"domains": "no domain"}, "domains"),
        ({"same_as": "javascript:alert(1)"}, "same_as"),
    ],
)
def test_a_problem_is_shown_beside_its_field_and_typed_text_is_kept(
    editor: FlaskClient, database: Database, wrong: dict[str, str], field: str
) -> None:
    data = {**WHOLE, "parent": "", "aliases": "Kept as typed", **wrong}
    page = editor.post("/newsroom/register/new", data=data)

    assert page.status_code == 422
    assert f'id="{field}-problem"' in page.text
    assert "Kept as typed" in page.text
    assert parties(database) == []


def test_markup_in_names_is_escaped(editor: FlaskClient, database: Database) -> None:
    data = {"name": HOSTILE, "kind": "other", "aliases": "<b>bold</b>"}
    page = editor.post("/newsroom/register/new", data=data, follow_redirects=True).text
    with database.transaction() as session:
        a_relationship(session, session.get(Party, 1))

    for address in ("", "1", "1/edit", "1/merge", "1/relationships/new", "relationships/1"):
        page = editor.get(f"/newsroom/register/{address}").text
        assert "&lt;script&gt;" in page
        assert "<script>alert" not in page
        assert "<b>bold" not in page


def test_parties_are_searched_by_name_and_alias_and_kind(
    editor: FlaskClient, database: Database
) -> None:
    with database.transaction() as session:
        a_relationship(session, a_party(session, "Gatepenny", aliases=["Penny's Gate"]))
        a_party(session, "Wren Callowpike", kind=PartyKind.PERSON)

    found = text_of(editor.get("/newsroom/register/?q=penny’s").text)
    assert "Gatepenny A company also Penny’s Gate Has a relationship" in found
    assert "Wren" not in found
    people = text_of(editor.get("/newsroom/register/?kind=person").text)
    assert "Wren Callowpike" in people
    assert "Gatepenny" not in people
    for odd in ("?q=%01", "?kind=planet", "?after=%02%ff", "?q=%25_\\"):
        assert editor.get(f"/newsroom/register/{odd}").status_code == 200
    nothing = editor.get("/newsroom/register/?q=Nobody+%26+Co").text
    assert 'href="/newsroom/register/new?name=Nobody+%26+Co"' in nothing


def test_parties_are_paginated(editor: FlaskClient, database: Database) -> None:
    with database.transaction() as session:
        for n in range(51):
            a_party(session, f"Label {n:02} & Co")

    first = editor.get("/newsroom/register/?q=label")
    assert "Label 49" in first.text
    assert "Label 50" not in first.text
    following = first.text.split('href="/newsroom/register/?q=label&amp;after=')[1].partition('"')[
        0
    ]
    second = editor.get(f"/newsroom/register/?q=label&after={following}")
    assert "Label 50" in second.text
    assert "Label 49" not in second.text


def test_a_conflicting_save_keeps_all_typed_text(editor: FlaskClient, database: Database) -> None:
    with database.transaction() as session:
        party = a_party(session)
        party.version = 5
    stale = {"name": "Mine", "kind": "company", "version": "4"}

    page = editor.post("/newsroom/register/1/edit", data=stale)

    assert page.status_code == 409
    assert 'value="Mine"' in page.text
    assert 'name="version" value="5"' in page.text
    assert (
        editor.post("/newsroom/register/1/edit", data={**stale, "version": "5"}).status_code == 303
    )


def test_two_parties_are_merged(editor: FlaskClient, database: Database) -> None:
    with database.transaction() as session:
        a_relationship(session, a_party(session, "Gatepenny Ltd"))
        a_party(session, "Gatepenny")
    assert "Name of the party to keep" in editor.get("/newsroom/register/1/merge").text

    for into, status in (("Nobody", 422), ("Gatepenny Ltd", 409)):
        page = editor.post("/newsroom/register/1/merge", data={"into": into})
        assert page.status_code == status
        assert 'id="into-problem"' in page.text
    answer = editor.post("/newsroom/register/1/merge", data={"into": "gatepenny"})

    assert answer.location.endswith("/newsroom/register/2")
    assert editor.get("/newsroom/register/1").location.endswith("/newsroom/register/2")
    page = text_of(editor.get("/newsroom/register/2").text)
    assert "Also known as Gatepenny Ltd" in page
    assert "Gatepenny advertises with us." in page


def test_only_an_unused_party_can_be_deleted(editor: FlaskClient, database: Database) -> None:
    with database.transaction() as session:
        a_relationship(session, a_party(session, "Related"))
        a_party(session, "Mistake")

    kept = editor.post("/newsroom/register/1/delete", follow_redirects=True)
    gone = editor.post("/newsroom/register/2/delete", follow_redirects=True)

    assert "cannot be deleted" in kept.text
    assert "Mistake is deleted from the register." in gone.text
    assert [party.name for party in parties(database)] == ["Related"]


def test_an_unknown_party_shows_the_error_page(editor: FlaskClient) -> None:
    for address in ("9", "9/edit", "9/merge", "9/relationships/new", "relationships/9"):
        assert editor.get(f"/newsroom/register/{address}").status_code == 404


def test_forms_carry_a_csrf_token_and_admins_are_editors_too(
    app: Flask, database: Database
) -> None:
    admin = signed_in(without_tokens(app), database, RoleName.ADMIN)
    page = admin.get("/newsroom/register/new")
    assert 'name="csrf_token"' in page.text

    app.config.update(WTF_CSRF_ENABLED=True, WTF_CSRF_METHODS={"POST"})
    assert admin.post("/newsroom/register/new", data=WHOLE).status_code == 400
    assert parties(database) == []
