"""One subscriber from the command line."""

from nif.database import Database
from nif.parts import Parts
from tests.cli.conftest import Run
from tests.factories import a_send


def test_a_subscriber_is_told_as_on_their_page(run: Run, database: Database, parts: Parts) -> None:
    with database.transaction() as session:
        a_send(session, parts, "Ann@example.com", "bob@example.com")

    told = run("subscriber", "show", "ann@EXAMPLE.com", "--json").told
    assert (told["id"], told["address"], told["suppressed"]) == (1, "Ann@example.com", None)
    assert [one["state"] for one in told["lists"]] == ["confirmed"]
    assert [(one["fate"], one["events"]) for one in told["editions"]] == [("pending", [])]
    text = run("subscriber", "show", "ann@example.com").text
    assert "fate: pending" in text
    assert "bob" not in text

    for wrong in ("cy@example.com", "nobody"):
        ended = run("subscriber", "show", wrong)
        assert (ended.status, ended.text) == (1, "")
        assert wrong not in ended.error
