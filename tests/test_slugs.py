import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nif.register.models import Party
from nif.slugs import find_free_slug, make_slug_unique, slugify
from nif.stories.models import Story
from tests.factories import a_draft
from tests.register.entries import a_party


@pytest.mark.parametrize(
    ("headline", "slug"),
    [
        (
            "NVIDIA Accused of Training Its AI on Anna's Archive",
            "nvidia-accused-of-training-its-ai-on-anna-s-archive",
        ),
        ("Anna’s Archive", "anna-s-archive"),
        ("“Responsible AI”: a deal", "responsible-ai-a-deal"),
        ("4,100 songs / 30% less", "4-100-songs-30-less"),
        ("  --Trimmed--  ", "trimmed"),
        ("A…B", "a-b"),
        ("A\u00a0B\tC\nD", "a-b-c-d"),
        ("Beyoncé and Sigur Rós", "beyonce-and-sigur-ros"),
        ("AI—Music", "ai-music"),
        ("The 2025–26 season", "the-2025-26-season"),
        ("Rock🎸Roll", "rock-roll"),
        ("音楽", "untitled"),
        ("", "untitled"),
        ("'’'", "untitled"),
    ],
)
def test_every_run_of_other_characters_is_one_hyphen(headline, slug):
    assert slugify(headline) == slug


@given(st.text())
def test_any_headline_has_a_short_plain_slug(headline):
    slug = slugify(headline)

    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug)
    assert len(slug) <= 90


@given(st.lists(st.from_regex(r"[a-z0-9]{1,30}", fullmatch=True), min_size=1, max_size=20))
def test_a_long_slug_is_cut_between_words(words):
    slug = slugify(" ".join(words))

    kept = slug.split("-")
    assert kept == words[: len(kept)]
    assert len("-".join(words[: len(kept) + 1])) > 90 or kept == words


@pytest.mark.parametrize(
    ("headline", "slug"),
    [
        ("a" * 90 + " b", "a" * 90),
        ("a" * 88 + " b", "a" * 88 + "-b"),
        ("a" * 88 + " bc", "a" * 88),
        ("a" * 100, "a" * 90),
    ],
)
def test_a_slug_has_at_most_ninety_characters(headline, slug):
    assert slugify(headline) == slug


@given(st.text())
def test_a_slug_made_from_a_slug_is_the_same(headline):
    assert slugify(slugify(headline)) == slugify(headline)


@pytest.mark.parametrize(
    ("taken", "free"),
    [
        (set(), "sale"),
        ({"sale-2", "sales", "noise"}, "sale"),
        ({"sale"}, "sale-2"),
        ({"sale", "sale-2", "sale-4"}, "sale-3"),
    ],
)
def test_a_taken_slug_gets_the_first_free_number(taken, free):
    assert make_slug_unique("sale", taken) == free


def test_a_slug_is_free_if_the_given_column_does_not_contain_it(session):
    a_party(session, "Sale")
    a_party(session, "Sale!")
    a_draft(session, headline="Sale")

    slugs = [
        find_free_slug(session, Party.slug, "Salé"),
        find_free_slug(session, Party.slug, "Sale", own="sale-2"),
        find_free_slug(session, Story.slug, "Sale"),
        find_free_slug(session, Party.slug, "音楽", empty="party"),
    ]

    assert slugs == ["sale-3", "sale-2", "sale-2", "party"]
