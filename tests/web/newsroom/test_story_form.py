"""Reading and validating the story form, without requests."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nif.errors import Invalid
from nif.links import is_web_address
from nif.stories.models import ReasonCode, SourceKind
from nif.web.newsroom.story_form import (
    MAX_SECTIONS,
    DeclarationForm,
    SectionRow,
    add_form_group,
    blank_story_form,
    build_unsaved_story,
    flatten_story_form,
    read_story_form,
    story_form_problems,
    validate_story_form,
)

LEAST = {"headline": "A headline"}


def test_groups_are_read_in_order_and_empty_ones_are_dropped() -> None:
    form = read_story_form(
        LEAST
        | {"sections-0-label": "", "sections-1-label": "B:", "sections-1-bullets": "one\ntwo"}
        | {"sources-0-kind": "own_reporting", "sources-1-kind": "publication"}
    )

    copy = validate_story_form(form)

    assert copy.sections == [("B:", ["one", "two"], None)]
    assert [source.kind for source in copy.sources] == [SourceKind.OWN_REPORTING]


def test_pasted_text_is_tidied() -> None:
    form = read_story_form(
        {
            "headline": "  Two\n words\x00 ",
            "sections-0-label": " A: ",
            "sections-0-bullets": "\t- first\r\n  * second\r\n–\r\n",
            "reason_code": "topic_news",
            "reason_subject": "audits.",
            "tags": "Deals, ,  Live  music,",
        }
    )

    copy = validate_story_form(form)

    assert copy.headline == "Two words"
    assert copy.sections == [("A:", ["first", "second"], None)]
    assert copy.reason_code is ReasonCode.TOPIC_NEWS
    assert copy.reason_subject == "audits"
    assert copy.tags == ["Deals", "Live music"]


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"headline": "x" * 201}, "headline"),
        ({"headline": ""}, "headline"),
        ({"lead": "x" * 2001}, "lead"),
        ({"tags": ",".join("abcdefghijklm")}, "tags"),
        ({"tags": "!!!"}, "tags"),
        ({"tags": "x" * 51}, "tags"),
        ({"story_type": "poem"}, "story_type"),
        ({"reason_code": "because"}, "reason_code"),
        ({"sections-0-label": "", "sections-0-bullets": "one"}, "sections-0-label"),
        ({"sections-0-label": "A", "sections-0-bullets": "x\n" * 41}, "sections-0-bullets"),
        ({"sections-0-label": "A", "sections-0-bullets": "x" * 1001}, "sections-0-bullets"),
        ({"picture_id": "the red one"}, "picture_id"),
        ({"sections-0-label": "A", "sections-0-picture": "9" * 19}, "sections-0-picture"),
        ({"sources-0-kind": "rumour"}, "sources-0-kind"),
        ({"sources-0-kind": "dataset", "sources-0-url": "example.com"}, "sources-0-url"),
        ({"sources-0-kind": "dataset", "sources-0-title": "x" * 301}, "sources-0-title"),
    ],
)
def test_a_value_that_cannot_be_saved_is_reported_by_field(
    given: dict[str, str], name: str
) -> None:
    form = read_story_form(LEAST | given)

    assert list(story_form_problems(form)) == [name]
    with pytest.raises(Invalid):
        validate_story_form(form)


@pytest.mark.parametrize(
    "text",
    ["javascript:alert(1)", "ftp://a.b/", "//a.b", "https://", "http://[", "https://a b", "a.b/c"],
)
def test_only_web_addresses_are_valid(text: str) -> None:
    assert not is_web_address(text)


def test_groups_can_be_added_up_to_a_limit() -> None:
    form = blank_story_form("Jo")
    for _ in range(MAX_SECTIONS + 5):
        form = add_form_group(form, "section")

    assert len(form.sections) == MAX_SECTIONS
    assert add_form_group(form, "nonsense") is form


NAMES = ("headline", "tags", "reason_code", "reason_subject", "edits", "sections-0-label")
MORE = ("sections-0-bullets", "sources-0-kind", "sources-0-url", "sources-0-publisher")


@settings(deadline=None)
@given(st.fixed_dictionaries({}, optional={name: st.text() for name in NAMES + MORE}))
def test_any_input_can_be_read_validated_and_previewed(values: dict[str, str]) -> None:
    form = read_story_form(values)

    assert all(story_form_problems(form).values())
    assert "\x00" not in build_unsaved_story(form, gap="…").headline
    assert all(isinstance(row, SectionRow) for row in form.sections)


@pytest.mark.parametrize(
    ("typed", "bullet"),
    [
        ("**Bold** first", "**Bold** first"),
        ("*Emphasis* first", "*Emphasis* first"),
        ("* a star", "a star"),
        ("- a dash", "a dash"),
        ("•no space", "no space"),
        ("– • both", "both"),
        ("-5% in a year", "-5% in a year"),
        ("*", ""),
    ],
)
def test_a_list_mark_is_not_part_of_the_bullet(typed: str, bullet: str) -> None:
    assert SectionRow("A:", typed).lines == ([bullet] if bullet else [])


def test_a_flattened_form_is_read_back_unchanged() -> None:
    form = replace(
        add_form_group(blank_story_form("Jo Reyes"), "source"),
        lead="Words",
        picture_id="7",
        sections=[SectionRow("A:", "one\ntwo", "8"), SectionRow()],
        answers=DeclarationForm(origin="pitched", origin_by="Palisade"),
    )

    assert read_story_form(flatten_story_form(form)) == form
