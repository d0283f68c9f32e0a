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


def told(found):
    return "".join({"same": "", "added": "+", "removed": "-"}[p.kind] + p.text for p in found)


@given(st.text(max_size=80), st.text(max_size=80))
def test_both_texts_can_be_read_from_their_difference(before, after):
    found = diff_words(before, after)

    assert "".join(p.text for p in found if p.kind is not DiffKind.ADDED) == before
    assert "".join(p.text for p in found if p.kind is not DiffKind.REMOVED) == after


def test_words_are_compared_and_numbers_stay_whole():
    assert told(diff_words("It sold 4,100 songs.", "It sold 4,200 songs.")) == (
        "It sold -4,100 +4,200 songs."
    )


def test_what_is_the_same_is_passed_over(session):
    sections = [("Why it matters:", ["One.", "Two."])]
    before, after = frozen(session, sections=sections), frozen(session, sections=sections)
    assert compare_revisions(before, after) == []
    assert count_changed_characters(compare_revisions(before, after)) == 0


def test_each_changed_line_says_where_it_stands(session):
    before = frozen(session, sections=[("Why:", ["One.", "Two."])])
    after = frozen(session, lead="It has not.", sections=[("Why:", ["One.", "Three.", "Four."])])

    found = compare_revisions(before, after)

    assert [line.place for line in found] == ["Lead", "Why:", "Why:"]
    assert [line.before and line.before.text for line in found[1:]] == ["Two.", None]
    assert told(found[1].pieces) == "-Two+Three."
    assert found[2].changed_characters == len("Four.")


def test_a_link_that_was_repaired_can_be_seen(session):
    def source(url):
        return [SourceInput(SourceKind.PUBLICATION, "Gazette", "Sale", url)]

    before = frozen(
        session, sections=[("Why:", ["[So](https://a.example/1)."])], sources=source("https://a/1")
    )
    after = frozen(
        session, sections=[("Why:", ["[So](https://a.example/2)."])], sources=source("https://a/2")
    )

    assert [line.place for line in compare_revisions(before, after)] == ["Why:", "Source"]


def test_texts_that_repeat_themselves_take_no_longer():
    begun = time.perf_counter()
    found = diff_words(". " * 1000, ", . " * 500)

    assert time.perf_counter() - begun < 2
    assert "".join(p.text for p in found if p.kind is not DiffKind.REMOVED) == ", . " * 500
