import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nif.register.name_matching import COMMON_WORDS, PartyMatcher, get_party_matcher
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
    assert KNOWN.find(text) == found


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
def test_a_name_that_is_a_common_word_is_not_taken_for_the_word(text):
    assert KNOWN.find(text) == []


def test_a_name_that_is_a_common_word_counts_within_a_sentence_and_where_it_is_tagged():
    assert KNOWN.find("The listings on Stack have doubled.") == [4]
    assert KNOWN.find("Stack has doubled.", tagged=[4]) == [4]
    assert KNOWN.find("NVIDIA sued.", tagged=[4, 8]) == [4, 8]


def test_names_that_overlap_are_both_found():
    known = PartyMatcher([(1, "Velvet Turnstiles"), (2, "Turnstiles Tour Company")])

    assert known.find("the Velvet Turnstiles Tour Company") == [1, 2]


def test_an_alias_of_two_parties_brings_up_both():
    known = PartyMatcher([(1, "Gazette"), (2, "Gazette")])

    assert known.find("as the Gazette says") == [1, 2]


words = st.text("abcdeéøñ", min_size=5, max_size=9).filter(lambda word: word not in COMMON_WORDS)
names = st.lists(words, min_size=1, max_size=3).map(" ".join)


@given(st.lists(names, min_size=1, max_size=8, unique=True), st.text("xyz ,.", max_size=20))
def test_every_planted_name_is_found(planted, noise):
    known = PartyMatcher(enumerate(planted))
    text = "".join(f"{noise} ; {name.upper()}’s ; " for name in planted)

    found = known.find(text)

    # Names that fold alike stand for each other.
    assert sorted(found) == list(range(len(planted)))


@given(names, st.text("abcé1_", min_size=1, max_size=3), st.text("abcé1_", max_size=3))
def test_a_name_is_never_found_inside_a_word(name, before, after):
    known = PartyMatcher([(1, name)])

    assert known.find(f"so {before}{name}{after} it goes") == []
    assert known.find(f"so {after}{name}{before} it goes") == []


@given(st.lists(st.text(max_size=12), max_size=6), st.text(max_size=80))
@settings(max_examples=200)
def test_whatever_is_asked_an_answer_comes(all_names, text):
    found = PartyMatcher(enumerate(all_names)).find(text)

    assert len(found) == len(set(found))


def test_a_change_of_a_name_is_seen_at_once_and_a_text_costs_no_more_queries(session):
    party = a_party(session, "Gatepenny", aliases=["Gate Penny"])
    assert get_party_matcher(session).find("as Gatepenny and Gate Penny say") == [party.id]
    assert get_party_matcher(session) is get_party_matcher(session)

    change_party(
        session, party, PartyInput("Gatepound"), version=party.version, publisher=PUBLISHER
    )

    assert get_party_matcher(session).find("as Gatepenny says") == []
    assert get_party_matcher(session).find("as Gatepound says") == [party.id]


def test_what_was_rolled_back_is_not_found(database):
    with database.reading() as session:
        a_party(session, "Gatepenny")
        assert get_party_matcher(session).find("as Gatepenny says") == [1]
    with database.transaction() as session:
        other = a_party(session, "Larkstream").id
    with database.reading() as session:
        assert get_party_matcher(session).find("as Gatepenny and Larkstream say") == [other]


def test_a_merged_party_is_found_under_the_other_one(session):
    party, other = a_party(session, "Gatepenny"), a_party(session, "Gatepenny Ltd")
    merge_parties(session, other, party, publisher=PUBLISHER)

    assert get_party_matcher(session).find("as Gatepenny Ltd says") == [party.id]


def test_twenty_thousand_names_cost_a_story_few_milliseconds():
    chance = random.Random(4)
    stock = ["".join(chance.choices("aeioulnrst", k=7)).title() for _ in range(3000)]
    known = PartyMatcher(
        (n, " ".join(["The", *chance.choices(stock, k=chance.randint(1, 4))]))
        for n in range(20_000)
    )
    text = " ".join("The" if n % 7 == 0 else chance.choice(stock) for n in range(500))

    def seconds():
        began = time.perf_counter()
        known.find(text)
        return time.perf_counter() - began

    assert min(seconds() for _ in range(5)) < 0.02
