"""The picture library: uploading, searching, describing, cropping and deleting."""

import re
from io import BytesIO
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from nif.clock import utc_now
from nif.database import Database
from nif.media.library import count_picture_uses
from nif.media.models import DigitalSourceType, Picture
from nif.media.renditions import MAX_ATTEMPTS, make_due_renditions
from nif.services import Services
from tests.conftest import NOON
from tests.media.drawing import Endless, a_bomb, a_file, with_exif
from tests.media.pictures import an_unprepared_picture
from tests.web.newsroom.staff import text_of

NEW = "/newsroom/pictures/new"
WORDS = {
    "alt": "A red wall",
    "credit": "Ana Ruiz/NIF",
    "licence": "CC BY 4.0",
    "source_type": "capture",
}
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
PARTS = "multipart/form-data; boundary=x"
HOSTILE = "\"><script>alert('x')</script><img src=x onerror=alert(1)>{{7*7}}"


def send(editor: FlaskClient, data: bytes, name: str = "wall.jpg", **words: str) -> TestResponse:
    fields: dict[str, Any] = {**WORDS, **words, "file": (BytesIO(data), name)}
    return editor.post(NEW, data=fields, content_type="multipart/form-data")


def added(editor: FlaskClient, services: Services, **words: str) -> str:
    """The address of a new picture with ready files."""
    answer = send(editor, a_file(), **words)
    assert answer.status_code == 303, text_of(answer.text)
    make_due_renditions(services.database.transaction, services.storage, clock=utc_now)
    return answer.location


def the_picture(database: Database) -> Picture:
    with database.reading() as session:
        return session.scalars(select(Picture)).one()


def edit(**changes: str) -> dict[str, str]:
    return {**WORDS, "focus_x": "50", "focus_y": "50", "edits": "0", **changes}


def test_an_empty_library_says_what_to_do(editor: FlaskClient) -> None:
    assert "There are no pictures yet. Add the first one" in text_of(
        editor.get("/newsroom/pictures/").text
    )


def test_a_picture_is_added_prepared_and_shown(editor: FlaskClient, services: Services) -> None:
    answer = send(editor, with_exif(6))
    assert answer.status_code == 303
    waiting = editor.get(answer.location)
    assert "Being prepared." in waiting.text
    assert "Being prepared" in editor.get("/newsroom/pictures/").text

    make_due_renditions(services.database.transaction, services.storage, clock=utc_now)

    page = editor.get(answer.location)
    assert "Being prepared." not in page.text
    assert "Picture: Ana Ruiz/NIF, CC BY 4.0" in text_of(page.text).replace(" ,", ",")
    sources = re.findall(r"/media/[0-9a-f]{40}\.(?:avif|webp|jpg)", page.text)
    assert {source.rpartition(".")[2] for source in sources} == {"avif", "webp", "jpg"}
    for source in set(sources):
        file = editor.get(source)
        assert file.status_code == 200
        assert b"Secret" not in file.data
    assert 'width="600" height="900" alt="A red wall"' in page.text
    assert sources[0] not in editor.get("/newsroom/pictures/").text  # A card stands there.
    assert "/media/" in editor.get("/newsroom/pictures/").text


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "This file is empty."),
        (SVG, "This is SVG, HTML or XML"),
        (a_bomb(), "too many pixels"),
        (a_file()[:3000], "broken or incomplete"),
        (a_file(comment=b"<script>alert(1)</script>"), "contains a hidden web page or script"),
        (b"\xff\xd8\xff" + b"\0" * 400_000, "too large: at most 0.3 MB"),
    ],
    ids=["empty", "svg", "bomb", "truncated", "polyglot", "large"],
)
def test_a_refused_file_is_reported_beside_its_field(
    editor: FlaskClient,
    services: Services,
    monkeypatch: pytest.MonkeyPatch,
    data: bytes,
    words: str,
) -> None:
    # Set back afterwards, because the application, which later tests share, keeps these settings.
    monkeypatch.setitem(vars(services.settings), "media_largest", 300_000)

    answer = send(editor, data, "holiday.jpg", caption="Typed & kept")

    assert answer.status_code == 422
    assert words in answer.text
    assert 'id="file-problem"' in answer.text
    assert "Typed &amp; kept" in answer.text
    with services.database.reading() as session:
        assert session.scalars(select(Picture)).all() == []
    assert not list(services.settings.instance_dir.glob("media/**/*.*"))


def test_a_missing_file_and_missing_texts_are_reported_together(editor: FlaskClient) -> None:
    answer = editor.post(NEW, data={"alt": ""}, content_type="multipart/form-data")

    assert answer.status_code == 422
    for name in ("file", "source_type"):
        assert f'id="{name}-problem"' in answer.text


def test_ten_gigabytes_are_refused_before_they_are_read(editor: FlaskClient) -> None:
    endless = Endless()

    answer = editor.post(
        NEW,
        content_type=PARTS,
        environ_overrides={"wsgi.input": endless, "CONTENT_LENGTH": "10000000000"},
    )

    assert answer.status_code == 413
    assert "at most 25 MB" in answer.text
    assert endless.read_so_far == 0


def test_an_endless_request_body_is_cut_off(editor: FlaskClient) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
    endless = Endless(head)

    answer = editor.post(
        NEW,
        content_type=PARTS,
        environ_overrides={
            "wsgi.input": endless,
            "wsgi.input_terminated": True,
            "CONTENT_LENGTH": "",
        },
    )

    assert answer.status_code == 413
    assert "at most 25 MB" in answer.text
    assert endless.read_so_far < 26_000_000


def test_no_upload_is_read_without_a_sign_in(client: FlaskClient) -> None:
    endless = Endless()

    answer = client.post(
        NEW,
        content_type=PARTS,
        environ_overrides={"wsgi.input": endless, "CONTENT_LENGTH": "1000000"},
    )

    assert answer.status_code == 302
    assert "/login" in answer.location
    assert endless.read_so_far == 0


def test_other_forms_have_the_smaller_size_limit(editor: FlaskClient) -> None:
    endless = Endless()

    answer = editor.post(
        "/newsroom/stories/new",
        content_type=PARTS,
        environ_overrides={"wsgi.input": endless, "CONTENT_LENGTH": "3000000"},
    )

    assert answer.status_code == 413
    assert endless.read_so_far == 0


def test_a_duplicate_file_redirects_to_the_existing_picture(
    editor: FlaskClient, database: Database
) -> None:
    first = send(editor, a_file()).location

    again = send(editor, a_file(), "renamed.png", alt="Another")

    assert again.location == first
    assert "already in the library" in editor.get(first).text
    assert the_picture(database).alt == "A red wall"


def test_text_typed_by_an_editor_is_escaped(editor: FlaskClient, services: Services) -> None:
    words = dict.fromkeys(("alt", "credit", "licence", "caption"), HOSTILE)
    address = added(editor, services, **words, credit_url="https://example.com/?q=%22><script>")

    for place in (address, "/newsroom/pictures/", f"{address}/delete"):
        page = editor.get(place).text
        assert "<script>" not in page
        assert "<img src=x" not in page
        assert "{{7*7}}" in page
    refused = send(editor, b"", **dict.fromkeys(words, HOSTILE), credit_url=HOSTILE)
    assert "<script>" not in refused.text
    found = editor.get("/newsroom/pictures/", query_string={"q": HOSTILE}).text
    assert "<script>" not in found


def test_pictures_are_paginated_and_searchable(editor: FlaskClient, database: Database) -> None:
    with database.transaction() as session:
        for n in range(26):
            an_unprepared_picture(
                session, alt=f"Picture {n:02}", caption="even" if n % 2 == 0 else "odd"
            )

    first = editor.get("/newsroom/pictures/").text
    assert "Picture 25" in first
    assert "Picture 01" not in first
    older = first.partition('href="/newsroom/pictures/?')[2].partition('"')[0]
    second = editor.get(f"/newsroom/pictures/?{older}").text
    assert "Picture 01" in second
    assert "Picture 02" not in second
    found = editor.get("/newsroom/pictures/?q=ODD picture").text
    assert "Picture 25" in found
    assert "Picture 24" not in found
    assert (
        "No picture matches all of these words" in editor.get("/newsroom/pictures/?q=nowhere").text
    )
    assert editor.get("/newsroom/pictures/?after=nonsense").status_code == 404


def test_a_picture_is_described_and_cropped_again(
    editor: FlaskClient, services: Services, database: Database
) -> None:
    address = added(editor, services)
    before = editor.get(address).text

    changes = edit(alt="A wall in two colours", focus_x="12.5", focus_y="0", source_type="by_ai")
    crop = {"card-is_manual": "1", "card-left": "10", "card-top": "20", "card-width": "30,5"}
    saved = editor.post(address, data={**changes, **crop})

    assert saved.status_code == 303
    picture = the_picture(database)
    assert (picture.focus_x, picture.focus_y, picture.edits) == (0.125, 0, 1)
    assert picture.crops == {"card": [0.1, 0.2, 0.305]}
    assert "Being cropped again." in editor.get(address).text
    make_due_renditions(services.database.transaction, services.storage, clock=utc_now)
    after = editor.get(address).text
    assert "Made by AI." in after
    assert 'value="30.5"' in after
    for name in set(re.findall(r"/media/[0-9a-f]{40}\.\w+", before)):
        assert editor.get(name).status_code == 200


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"alt": ""}, "alt"),
        ({"focus_x": "101"}, "focus_x"),
        ({"focus_y": "nan"}, "focus_y"),
        ({"focus_x": "-3"}, "focus_x"),
        ({"wide-is_manual": "1", "wide-left": "5", "wide-top": "5", "wide-width": "0"}, "wide"),
        ({"wide-is_manual": "1", "wide-left": "1e999"}, "wide"),
        ({"source_type": "nonsense"}, "source_type"),
        ({"credit_url": "javascript:alert(1)"}, "credit_url"),
    ],
)
def test_a_problem_is_shown_beside_its_field_and_nothing_is_lost(
    editor: FlaskClient, database: Database, changes: dict[str, str], name: str
) -> None:
    with database.transaction() as session:
        address = f"/newsroom/pictures/{an_unprepared_picture(session).id}"

    answer = editor.post(address, data=edit(caption="Typed & kept", **changes))

    assert answer.status_code == 422
    assert f'id="{name}-problem"' in answer.text
    assert "Typed &amp; kept" in answer.text
    assert the_picture(database).edits == 0


def test_a_conflicting_save_of_a_picture_keeps_both_texts(
    editor: FlaskClient, database: Database
) -> None:
    with database.transaction() as session:
        address = f"/newsroom/pictures/{an_unprepared_picture(session).id}"
    editor.post(address, data=edit(alt="Theirs"))

    page = editor.post(address, data=edit(alt="Mine"))

    assert page.status_code == 409
    assert "Mine" in page.text
    assert the_picture(database).alt == "Theirs"
    assert 'name="edits" value="1"' in page.text
    assert editor.post(address, data=edit(alt="Mine", edits="1")).status_code == 303


def test_a_picture_is_deleted_with_its_files(editor: FlaskClient, services: Services) -> None:
    address = added(editor, services)
    name = re.findall(r"/media/[0-9a-f]{40}\.\w+", editor.get(address).text)[0]
    assert "Delete this picture?" in editor.get(f"{address}/delete").text

    answer = editor.post(f"{address}/delete", follow_redirects=True)

    assert "The picture is deleted." in answer.text
    assert editor.get(address).status_code == 404
    assert editor.get(name).status_code == 404
    assert not list(services.settings.instance_dir.glob("media/**/*.*"))


def test_a_picture_shown_in_a_story_cannot_be_deleted(
    editor: FlaskClient, database: Database
) -> None:
    with database.transaction() as session:
        picture = an_unprepared_picture(session)
        count_picture_uses(session, {picture.id: 1})
    address = f"/newsroom/pictures/{picture.id}"

    assert "This picture cannot be deleted" in editor.get(f"{address}/delete").text
    answer = editor.post(f"{address}/delete", follow_redirects=True)

    assert "shown in a story" in answer.text
    assert the_picture(database).id == picture.id


def test_failed_renditions_can_be_retried(editor: FlaskClient, database: Database) -> None:
    with database.transaction() as session:
        picture = an_unprepared_picture(session)
        picture.attempts, picture.due_at = MAX_ATTEMPTS, NOON
    address = f"/newsroom/pictures/{picture.id}"
    assert "could not be made" in editor.get(address).text

    assert editor.post(f"{address}/retry").status_code == 303

    assert the_picture(database).attempts == 0
    assert "Being prepared." in editor.get(address).text


def test_removed_content_credentials_are_mentioned(editor: FlaskClient, database: Database) -> None:
    with database.transaction() as session:
        picture = an_unprepared_picture(session)
        picture.had_provenance = True
        picture.source_type = DigitalSourceType.WITH_AI

    page = text_of(editor.get(f"/newsroom/pictures/{picture.id}").text)

    assert "They are not kept" in page


@pytest.mark.parametrize("place", ["", "/delete"])
@pytest.mark.parametrize("picture_id", ["999", "9223372036854775807", "99999999999999999999", "x"])
def test_an_unknown_picture_shows_the_error_page(
    editor: FlaskClient, picture_id: str, place: str
) -> None:
    assert editor.get(f"/newsroom/pictures/{picture_id}{place}").status_code == 404
