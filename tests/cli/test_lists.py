"""nif list …"""

from sqlalchemy import select

from nif.accounts.audit_log import AuditEntry
from nif.database import Database
from nif.subscriptions.lists import offered_lists
from tests.cli.conftest import Run
from tests.factories import a_story, a_subscription

DAILY = ("--slug", "daily", "--title", "NIF Daily", "--schedule", "daily 07:30", "--zone", "UTC")


def test_a_list_is_founded_changed_archived_and_taken_back(database: Database, run: Run) -> None:
    with database.transaction() as session:
        a_story(session, tags=["Deals"])

    made = run("list", "create", *DAILY, "--hidden", "--topics", "deals", "--json").told
    assert (made["list"], made["is_shown"], made["tags"]) == ("daily", False, ["deals"])

    changes = ("--title", "News", "--topics", "", "--shown", "--language", "de")
    told = run("list", "edit", "daily", *changes, "--json").told
    assert told["changed"] == ["is_shown", "language", "tags", "title"]
    assert (told["title"], told["tags"], told["schedule"]) == ("News", [], "daily 07:30")

    with database.transaction() as session:
        a_subscription(session, offered_lists(session)[0])
    told = run("list", "archive", "daily", "--json").told
    assert (told["readers"], told["next_slot"]) == (1, None)
    assert run("list", "archive", "daily").status == 1
    assert "archived" in run("digest", "preview", "--list", "daily").error
    assert run("list", "archive", "daily", "--take-back", "--json").told["archived_at"] is None
    with database.reading() as session:
        acts = session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)).all()
    assert acts == ["list_created", "list_changed", "list_archived", "list_unarchived"]


def test_what_cannot_be_is_refused_in_a_sentence(database: Database, run: Run) -> None:
    run("list", "create", *DAILY)

    for wrong in (("--topics", "Gardening"), ("--language", "xx"), ("--sender-name", "a\nb")):
        ended = run("list", "edit", "daily", *wrong)
        assert (ended.status, ended.error.startswith("nif: ")) == (1, True)
    assert run("list", "edit", "none").status == 1
