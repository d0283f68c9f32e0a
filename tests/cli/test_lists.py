"""nif list …"""

from sqlalchemy import select

from nif.accounts.audit_log import AuditEntry
from nif.database import Database
from nif.subscriptions.lists import offered_lists
from tests.cli.conftest import Run
from tests.factories import a_story, a_subscription

DAILY = ("--slug", "daily", "--title", "NIF Daily", "--schedule", "daily 07:30", "--zone", "UTC")


def test_a_list_is_created_changed_archived_and_reopened(database: Database, run: Run) -> None:
    with database.transaction() as session:
        a_story(session, tags=["Deals"])

    created = run("list", "create", *DAILY, "--hidden", "--topics", "deals", "--json").data
    assert (created["list"], created["is_shown"], created["tags"]) == ("daily", False, ["deals"])

    changes = ("--title", "News", "--topics", "", "--shown", "--language", "de")
    edited = run("list", "edit", "daily", *changes, "--json").data
    assert edited["changed"] == ["is_shown", "language", "tags", "title"]
    assert (edited["title"], edited["tags"], edited["schedule"]) == ("News", [], "daily 07:30")

    with database.transaction() as session:
        a_subscription(session, offered_lists(session)[0])
    archived = run("list", "archive", "daily", "--json").data
    assert (archived["subscribers"], archived["next_slot"]) == (1, None)
    assert run("list", "archive", "daily").status == 1
    assert "archived" in run("digest", "preview", "--list", "daily").error
    assert run("list", "archive", "daily", "--undo", "--json").data["archived_at"] is None
    with database.reading() as session:
        actions = session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)).all()
    assert actions == ["list_created", "list_changed", "list_archived", "list_unarchived"]


def test_invalid_settings_are_refused_in_a_sentence(database: Database, run: Run) -> None:
    run("list", "create", *DAILY)

    for wrong in (("--topics", "Gardening"), ("--language", "xx"), ("--sender-name", "a\nb")):
        ended = run("list", "edit", "daily", *wrong)
        assert (ended.status, ended.error.startswith("nif: ")) == (1, True)
    assert run("list", "edit", "none").status == 1
