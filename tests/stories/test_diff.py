import time

from hypothesis import given
from hypothesis import strategies as st

from nif.stories.diff import DiffKind, compare_revisions, count_changed_characters, diff_words
from nif.stories.drafts import SourceInput
from nif.stories.models import SourceKind
from nif.stories.publishing import freeze_revision
from tests.conftest import NOON
from tests.factories import a_draft


def frozen(session, **given):
    return freeze_revision(
        session, a_draft(session, headline="Palisade Sells", **given), by=None, now=NOON
    )


def marked(pieces):
    return "".join({"same": "", "added": "+", "removed": "-"}[p.kind] + p.text for p in pieces)


@given(st.text(max_size=80), st.text(max_size=80))
def test_both_texts_can_be_restored_from_their_diff(before, after):
    found = diff_words(before, after)

    assert "".join(p.text for p in found if p.kind is not DiffKind.ADDED) == before
    assert "".join(p.text for p in found if p.kind is not DiffKind.REMOVED) == after


def test_a_diff_is_by_word_and_keeps_numbers_whole():
    assert marked(diff_words("It sold 4,100 songs.", "It sold 4,200 songs.")) == (
        "It sold -4,100 +4,200 songs."
    )


def test_equal_revisions_have_no_changed_lines(session):
    sections = [("Why it matters:", ["One.", "Two."])]
    before, after = frozen(session, sections=sections), frozen(session, sections=sections)
    assert compare_revisions(before, after) == []
    assert count_changed_characters(compare_revisions(before, after)) == 0


def test_each_changed_line_names_its_place(session):
    before = frozen(session, sections=[("Why:", ["One.", "Two."])])
    after = frozen(session, lead="It has not.", sections=[("Why:", ["One.", "Three.", "Four."])])

    found = compare_revisions(before, after)

    assert [line.place for line in found] == ["Lead", "Why:", "Why:"]
    assert [line.before and line.before.text for line in found[1:]] == ["Two.", None]
    assert marked(found[1].pieces) == "-Two+Three."
    assert found[2].changed_characters == len("Four.")


def test_a_changed_link_address_is_a_changed_line(session):
    def source(url):
        return [SourceInput(SourceKind.PUBLICATION, "Gazette", "Sale", url)]

    before = frozen(
        session, sections=[("Why:", ["[So](https://a.example/1)."])], sources=source("https://a/1")
    )
    after = frozen(
        session, sections=[("Why:", ["[So](https://a.example/2)."])], sources=source("https://a/2")
    )

    assert [line.place for line in compare_revisions(before, after)] == ["Why:", "Source"]


def test_repetitive_texts_are_compared_quickly():
    begun = time.process_time()
    found = diff_words(". " * 1000, ", . " * 500)

    assert time.process_time() - begun < 2
    assert "".join(p.text for p in found if p.kind is not DiffKind.REMOVED) == ", . " * 500
