"""A change to a number, a name, a quotation, a negation or a headline cannot pass as style."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nif.stories.diff import explain_style_refusal, list_protected_changes
from nif.stories.models import Revision, StoryType

QUIET = "the sale went through on time and the label was glad of it"
NAMES = ["Palisade", "Meridrome", "Gatepenny", "iTunes", "AI", "Beyoncé", "音楽", "Norvale's"]
NEGATIONS = ["not", "never", "no", "n't", "without", "denied", "didn’t"]
FACTS = [
    *NAMES,
    *(word for word in NEGATIONS if word != "n't"),
    *("94", "1.5", "£3", "€", "4,100", "twelve", "Tuesday", "yesterday", "“so he said”", "alleged"),
]


def revision(lead=QUIET, bullets=("it is so",), sources=(), **given):
    words = {
        "headline": "the sale is on",
        "dek": "the buyer is not named",
        "byline": "Jo Reyes",
        "story_type": StoryType.BRIEF,
        "block": [{"kind": "sources", "text": "Written with information from DMN.", "links": []}],
        "sources": [],
        "tags": [["deals", "Deals"]],
        **given,
    }
    made = [{"anchor": "x", "text": text, "sources": list(sources)} for text in bullets]
    return Revision(
        lead=lead, sections=[{"anchor": "why", "label": "Why:", "bullets": made}], **words
    )


def between(before, after):
    return list_protected_changes(revision(before), revision(after))


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        ("it took 94 days", "it took 97 days", "a number (“94”, now “97”)"),
        ("it fell by -5 points", "it fell by 5 points", "a number (“-5”, now “5”)"),
        ("it cost 1.5 more", "it cost 15 more", "a number (“1.5”, now “15”)"),
        ("two labels agreed", "three labels agreed", "a number (“two”, now “three”)"),
        ("it is due in May", "it is due in June", "a date (“may”, now “june”)"),
        ("it cost £3", "it cost €3", "an amount of money (“£”, now “€”)"),
        ("he said “it is so”", "he said “it was so”", 'a quotation (“"it is so"”, now'),
        ("he said 'it is so'", "he said it is so", "a quotation"),
        ("the label did sell", "the label did not sell", "a negation"),
        ("they don’t sell", "they do sell", "a negation"),
        ("he denies it all", "he admits it all", "a negation"),
        ("he allegedly stole it", "he stole it", "how certain it is"),
        ("then Palisade sold it", "then Meridrome sold it", "a name (“Palisade”, now “Meridrome”)"),
        ("Palisade sold it", "Meridrome sold it", "a name"),
        ("then Ann sued Bob", "then Bob sued Ann", "a name (“Ann”, now “Bob”)"),
        ("it was for us", "it was for US", "a name"),
        (QUIET, QUIET.upper(), "a name"),
        (QUIET, f"{QUIET} and everybody who was there went home in a good mood", "more than 40"),
    ],
)
def test_a_changed_fact_is_named(before, after, what):
    assert any(found.startswith(what) for found in between(before, after)), between(before, after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (QUIET, QUIET),
        ("they recieve it", "they receive it"),
        ("it's so, he said", "it’s so , he said"),
        ('he said "so it is"', "he said “so it is”"),
        ("Sales of it rose. Later sales fell", "The sales of it rose. Later sales fell"),
        ("see [this](https://a.example/1)", "see [this](https://a.example/2)"),
        ("it was *very* good", "it was very good"),
        ("then Palisade, and others, sold 12", "then Palisade and others sold 12"),
    ],
)
def test_correcting_misspellings_and_links_is_a_style_edit(before, after):
    found = list_protected_changes(revision(bullets=[before]), revision(bullets=[after]))

    assert found == []


@given(st.sampled_from(FACTS), st.integers(0, 12), st.booleans())
def test_adding_or_removing_a_fact_is_not_a_style_edit(fact, place, is_added):
    words = QUIET.split()
    with_it = " ".join([*words[:place], fact, *words[place:]])
    pair = (QUIET, with_it) if is_added else (with_it, QUIET)

    assert between(*pair)


@given(st.permutations(NAMES[:4]), st.permutations(NAMES[:4]))
def test_swapping_two_names_is_not_a_style_edit(first, second):
    before, after = (f"then {' then '.join(names)} came" for names in (first, second))

    assert bool(between(before, after)) == (list(first) != list(second))


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_changing_a_number_is_not_a_style_edit(one, other):
    found = between(f"it was {one:,} in all", f"it was {other:,} in all")

    assert bool(found) == (one != other)


@given(st.text(alphabet=st.characters(exclude_characters="“”"), min_size=1, max_size=30))
def test_adding_to_a_quotation_is_not_a_style_edit(words):
    assert between("he said “so it is”", f"he said “so it is{words}”")


@pytest.mark.parametrize("field", ["headline", "dek", "byline"])
@given(st.text(min_size=1, max_size=20).filter(lambda text: text.strip()))
def test_changing_headline_dek_or_byline_is_not_a_style_edit(field, text):
    assert list_protected_changes(revision(), revision(**{field: f"the sale {text} x"}))


def test_adding_or_removing_a_line_is_not_a_style_edit():
    one, two = revision(bullets=["it is so"]), revision(bullets=["it is so", "he objects"])

    assert list_protected_changes(one, two) == list_protected_changes(two, one) == ["a whole line"]


def test_changing_the_sources_of_a_statement_is_not_a_style_edit():
    one, other = (revision(bullets=["it is so"], sources=[n]) for n in (1, 2))

    assert list_protected_changes(one, other) == ["the sources of a statement"]


def test_changing_the_transparency_block_is_not_a_style_edit():
    block = [{"kind": "money", "text": "Somebody paid.", "links": []}]

    assert list_protected_changes(revision(), revision(block=block)) == ["the transparency block"]


def test_changing_a_tag_is_a_style_edit():
    assert list_protected_changes(revision(), revision(tags=[["ai", "AI"]])) == []


def test_a_refusal_lists_every_protected_change():
    assert explain_style_refusal(["the headline", "a name"]).startswith(
        "This touches the headline and a name,"
    )
    assert explain_style_refusal(["the headline"]).startswith(
        "This touches the headline, so it is more than style."
    )
