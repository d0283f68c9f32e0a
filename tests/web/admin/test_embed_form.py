"""The embed code of a list's sign-up form."""

import re
from html import unescape
from html.parser import HTMLParser

from flask.testing import FlaskClient

from nif.database import Database
from tests.factories import a_list


class TagCollector(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def snippet(page: str, name: str) -> str:
    found = re.search(rf'<textarea id="snippet-{name}".*?>(.*?)</textarea>', page, re.DOTALL)
    assert found
    return unescape(found[1])


def tags(html: str) -> list[tuple[str, dict[str, str | None]]]:
    reader = TagCollector()
    reader.feed(html)
    return reader.found


def test_both_embed_codes_are_complete_and_contain_no_script(
    admin: FlaskClient, database: Database
) -> None:
    title = '<script>alert("1")</script> & Daily'
    with database.transaction() as session:
        a_list(session, title=title)
    page = admin.get("/admin/lists/daily/embed").text

    plain, frame = tags(snippet(page, "plain")), tags(snippet(page, "frame"))

    assert [tag for tag, _ in frame] == ["iframe"]
    assert frame[0][1]["src"] == "http://127.0.0.1:8000/embed/daily"
    assert frame[0][1]["title"] == f"Subscribe to {title}"
    form = plain[0][1]
    assert (form["action"], form["method"]) == ("http://127.0.0.1:8000/subscribe", "post")
    fields = {given["name"]: given for tag, given in plain if tag == "input"}
    assert fields.keys() == {"list", "key", "website", "email"}
    labelled = {given["for"] for tag, given in plain if tag == "label"}
    assert labelled == {fields["website"]["id"], fields["email"]["id"]}
    assert "script" not in {tag for tag, _ in plain}
