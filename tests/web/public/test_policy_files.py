"""The texts of policies: one file for each version."""

from datetime import date
from pathlib import Path

from nif.ledger.chain import PolicyVersion
from nif.web.public.policies import POLICIES, read_policies


def test_texts_are_read_newest_first(tmp_path: Path) -> None:
    head = 'title = "T"\nsummary = "S"\nchange = "C"\n'
    for version in (1, 10, 2):
        path = tmp_path / "ethics" / f"{version}.html"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{head}effective_from = 2026-01-{version:02}\n+++\n<p>{version}</p>\n")

    found = read_policies(tmp_path)["ethics"]
    assert [text.version for text in found] == [10, 2, 1]
    day = date(2026, 1, 10)
    assert found[0] == PolicyVersion("ethics", 10, "T", "C", day, "<p>10</p>\n", "S")


def test_versions_are_counted_from_one_and_follow_each_other() -> None:
    for slug, versions in POLICIES.items():
        assert (slug, [text.version for text in versions][::-1]) == (
            slug,
            list(range(1, len(versions) + 1)),
        )
        days = [text.effective_from for text in versions]
        assert days == sorted(days, reverse=True)
