"""nif suppressions …"""

from pathlib import Path

from tests.cli.conftest import Run


def test_addresses_are_added_listed_and_not_pushed_to_a_provider_without_lists(
    run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "some.txt"
    file.write_text("bo@example.com\nnobody\n")
    given = ("--file", str(file), "--reason", "They wrote.", "--json")
    added = run("suppressions", "add", "Ann@Example.com", *given).data
    assert added == {"added": 2, "already_there": 0, "invalid": 1}

    listed = run("suppressions", "list", "--most", "1", "--json").data
    assert listed["counts"]["manual"] == 2
    assert [one["address"] for one in listed["suppressions"]] == ["bo@example.com"]
    next_page = run("suppressions", "list", "--after", listed["after"])
    assert "ann@example.com  manual  manual: They wrote." in next_page.text
    assert run("suppressions", "list", "--begins", "a").status == 1
    assert run("suppressions", "add", "nobody", "--reason", "x").status == 1

    pushed = run("suppressions", "push", "--json").data
    assert pushed == {"added": 0, "removed": 0, "refused": 0, "waiting": 2}
    assert run("suppressions", "pull", "--json").data == {"entries_read": 0}
