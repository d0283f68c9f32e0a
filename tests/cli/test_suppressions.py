"""The list of whom the house mails no more, at the command line."""

from pathlib import Path

from tests.cli.conftest import Run


def test_addresses_are_added_listed_and_the_outbox_hears_nothing(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "some.txt"
    file.write_text("bo@example.com\nnobody\n")
    given = ("--file", str(file), "--reason", "They wrote.", "--json")
    told = run("suppressions", "add", "Ann@Example.com", *given).told
    assert told == {"new": 2, "there_already": 0, "no_addresses": 1}

    listed = run("suppressions", "list", "--most", "1", "--json").told
    assert listed["counts"]["manual"] == 2
    assert [one["address"] for one in listed["suppressions"]] == ["bo@example.com"]
    rest = run("suppressions", "list", "--after", listed["after"])
    assert "ann@example.com  manual  manual: They wrote." in rest.text
    assert run("suppressions", "list", "--begins", "a").status == 1
    assert run("suppressions", "add", "nobody", "--reason", "x").status == 1

    pushed = run("suppressions", "push", "--json").told
    assert pushed == {"put_on": 0, "taken_off": 0, "refused": 0, "waiting": 2}
    assert run("suppressions", "pull", "--json").told == {"looked_at": 0}
