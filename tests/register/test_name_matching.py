import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nif.register.name_matching import (
    COMMON_WORDS,
    PartyMatcher,
    fold_name,
    get_party_matcher,
    has_letter_or_digit,
    normalize_text,
)
from nif.register.parties import PartyInput, change_party, merge_parties
from tests.register.entries import PUBLISHER, a_party

NAMES = {
    1: ["Universal Music Group", "UMG"],
    2: ["Universal"],
    3: ["Anna's Archive"],
    4: ["Stack"],
    5: ["Beyoncé"],
    6: ["Humdrum & Vale"],
    7: ["Sony"],
    8: ["NVIDIA"],
    9: ["Anna"],
    10: ["blink-182"],
    11: ["O"],
}
KNOWN = PartyMatcher((party_id, name) for party_id, names in NAMES.items() for name in names)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("UMG and NVIDIA announced a deal.", [1, 8]),
        ("NVIDIA signed with UMG, and UMG with NVIDIA.", [8, 1]),
        ("A suit by Universal Music Group.", [1]),
        ("A suit by Universal\nMusic Group.", [1]),
        ("A suit by Universal, music and a group.", [2]),
        ("It asked Anna’s Archive and Anna's archive.", [3]),
        ("It asked Anna’s lawyer.", [9]),
        ("nvidia’s chips", [8]),
        ("BEYONCE, then Beyonce\u0301", [5]),
        ("at Humdrum & Vale’s office", [6]),
        ("Humdrum. Vale said", []),
        ("“Sony” (Sony)", [7]),
        ("sony, SONY, Sonya, Sony2, so Ny", []),
        ("Sony has sued.", [7]),
        ("as blink-182 did", [10]),
        ("O'Brien and D’O", []),
        ("with O's own", [11]),
        ("", []),
    ],
)
def test_a_name_is_found_as_whole_words(text, found):
    assert KNOWN.find_party_ids(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "a stack of records",
        "Stack them high.",
        "It rained. Stack them high.",
        "It rained:\nStack them high.",
        "“Stack them high,” he said.",
        "- Stack them high.",
    ],
)
def test_a_common_word_in_lower_case_is_not_a_name(text):
    assert KNOWN.find_party_ids(text) == []


def test_a_name_that_is_a_common_word_counts_within_a_sentence_and_where_it_is_tagged():
    assert KNOWN.find_party_ids("The listings on Stack have doubled.") == [4]
    assert KNOWN.find_party_ids("Stack has doubled.", tagged=[4]) == [4]
    assert KNOWN.find_party_ids("NVIDIA sued.", tagged=[4, 8]) == [4, 8]


def test_overlapping_names_are_both_found():
    known = PartyMatcher([(1, "Velvet Turnstiles"), (2, "Turnstiles Tour Company")])

    assert known.find_party_ids("the Velvet Turnstiles Tour Company") == [1, 2]


def test_a_shared_alias_finds_both_parties():
    known = PartyMatcher([(1, "Gazette"), (2, "Gazette")])

    assert known.find_party_ids("as the Gazette says") == [1, 2]


words = st.text("abcdeéøñ", min_size=5, max_size=9).filter(lambda word: word not in COMMON_WORDS)
names = st.lists(words, min_size=1, max_size=3).map(" ".join)


@given(st.lists(names, min_size=1, max_size=8, unique=True), st.text("xyz ,.", max_size=20))
def test_every_planted_name_is_found(planted, noise):
    known = PartyMatcher(enumerate(planted))
    text = "".join(f"{noise} ; {name.upper()}’s ; " for name in planted)

    found = known.find_party_ids(text)

    # Names that fold alike stand for each other.
    assert sorted(found) == list(range(len(planted)))


@given(names, st.text("abcé1_", min_size=1, max_size=3), st.text("abcé1_", max_size=3))
def test_a_name_is_never_found_inside_a_word(name, before, after):
    known = PartyMatcher([(1, name)])

    assert known.find_party_ids(f"so {before}{name}{after} it goes") == []
    assert known.find_party_ids(f"so {after}{name}{before} it goes") == []


@given(st.lists(st.text(max_size=12), max_size=6), st.text(max_size=80))
@settings(max_examples=200)
def test_any_text_can_be_matched(all_names, text):
    found = PartyMatcher(enumerate(all_names)).find_party_ids(text)

    assert len(found) == len(set(found))


def test_a_changed_name_is_found_at_once_and_matching_needs_one_query(session):
    party = a_party(session, "Gatepenny", aliases=["Gate Penny"])
    assert get_party_matcher(session).find_party_ids("as Gatepenny and Gate Penny say") == [
        party.id
    ]
    assert get_party_matcher(session) is get_party_matcher(session)

    change_party(
        session, party, PartyInput("Gatepound"), version=party.version, publisher=PUBLISHER
    )

    assert get_party_matcher(session).find_party_ids("as Gatepenny says") == []
    assert get_party_matcher(session).find_party_ids("as Gatepound says") == [party.id]


def test_a_rolled_back_name_is_not_found(database):
    with database.reading() as session:
        a_party(session, "Gatepenny")
        assert get_party_matcher(session).find_party_ids("as Gatepenny says") == [1]
    with database.transaction() as session:
        other = a_party(session, "Larkstream").id
    with database.reading() as session:
        assert get_party_matcher(session).find_party_ids("as Gatepenny and Larkstream say") == [
            other
        ]


def test_a_merged_party_is_found_as_the_one_it_was_merged_into(session):
    party, other = a_party(session, "Gatepenny"), a_party(session, "Gatepenny Ltd")
    merge_parties(session, other, party, publisher=PUBLISHER)

    assert get_party_matcher(session).find_party_ids("as Gatepenny Ltd says") == [party.id]


def test_matching_against_twenty_thousand_names_takes_milliseconds():
    chance = random.Random(4)
    stock = ["".join(chance.choices("aeioulnrst", k=7)).title() for _ in range(3000)]
    known = PartyMatcher(
        (n, " ".join(["The", *chance.choices(stock, k=chance.randint(1, 4))]))
        for n in range(20_000)
    )
    text = " ".join("The" if n % 7 == 0 else chance.choice(stock) for n in range(500))

    def seconds():
        began = time.process_time()
        known.find_party_ids(text)
        return time.process_time() - began

    assert min(seconds() for _ in range(5)) < 0.02


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("Beyoncé", "beyonce"),
        ("Anna’s Archive", "anna's archive"),
        ("  Sigur   Rós ", "sigur ros"),
        ("Mø", "mo"),
        ("Motörhead", "motorhead"),
        ("Jay‑Z", "jay-z"),
        ("Spo\u00adtify", "spotify"),
        ("Straße", "strasse"),
    ],
)
def test_names_compare_equal_whatever_their_accents_and_apostrophes(name, same):
    assert fold_name(name) == same


def test_a_trade_mark_does_not_become_part_of_the_name():
    assert normalize_text("Spotify™") == "Spotify™"


def test_a_name_has_a_letter_or_a_digit():
    assert has_letter_or_digit("!K7")
    assert has_letter_or_digit("音楽")
    assert not any(map(has_letter_or_digit, ("", "  ", "!!!", "´")))
