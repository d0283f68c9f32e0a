import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nif.errors import NotFound
from nif.tokens import TokenPurpose, Tokens

TOKENS = Tokens([b"the key of today"])
NUMBERS = st.integers(min_value=0, max_value=2**64 - 1)
GIVEN_OUT = TOKENS.make(TokenPurpose.CONFIRM, 7, 11)


@given(first=NUMBERS, second=NUMBERS, purpose=st.sampled_from(TokenPurpose))
def test_a_token_contains_its_numbers(first, second, purpose):
    token = TOKENS.make(purpose, first, second)

    assert len(token) == 40
    assert TOKENS.open(purpose, token) == (first, second)


@pytest.mark.parametrize("other", [p for p in TokenPurpose if p is not TokenPurpose.CONFIRM])
def test_a_token_of_another_purpose_is_refused(other):
    with pytest.raises(NotFound):
        TOKENS.open(other, GIVEN_OUT)


@given(at=st.integers(0, 39), put=st.sampled_from("ABCDwxyz0189-_"))
def test_a_token_with_a_changed_character_is_refused(at, put):
    assume(GIVEN_OUT[at] != put)

    with pytest.raises(NotFound):
        TOKENS.open(TokenPurpose.CONFIRM, GIVEN_OUT[:at] + put + GIVEN_OUT[at + 1 :])


@pytest.mark.parametrize(
    "junk",
    [
        "",
        "=",
        "abc",
        "A" * 40,
        "jürgen" * 8,
        "\ud800",
        "\0" * 40,
        "../../etc/passwd",
        GIVEN_OUT[:-1],
        GIVEN_OUT[:-4],
        GIVEN_OUT * 2,
        "A" * 1_000_000,
    ],
    ids=range(12),
)
def test_text_that_is_no_token_is_refused(junk):
    with pytest.raises(NotFound):
        TOKENS.open(TokenPurpose.CONFIRM, junk)


@pytest.mark.parametrize("more", ["!", "\n", " ", "=", "====", "."])
@pytest.mark.parametrize("at", [0, 20, 40])
def test_a_token_with_something_added_is_refused(more, at):
    with pytest.raises(NotFound):
        TOKENS.open(TokenPurpose.CONFIRM, GIVEN_OUT[:at] + more + GIVEN_OUT[at:])


@given(junk=st.text())
def test_only_a_valid_token_is_accepted(junk):
    assume(junk != GIVEN_OUT)

    with pytest.raises(NotFound):
        TOKENS.open(TokenPurpose.CONFIRM, junk)


def test_a_token_signed_with_an_older_key_is_still_accepted():
    tokens = Tokens([b"the key of tomorrow", b"noise", b"the key of today"])

    assert tokens.open(TokenPurpose.CONFIRM, GIVEN_OUT) == (7, 11)
    assert tokens.make(TokenPurpose.CONFIRM, 7, 11) != GIVEN_OUT


def test_a_token_signed_with_a_removed_key_is_refused():
    with pytest.raises(NotFound):
        Tokens([b"the key of tomorrow"]).open(TokenPurpose.CONFIRM, GIVEN_OUT)


@pytest.mark.parametrize("length", [0, 1, 31, 63, 64, 65, 200])
@given(first=NUMBERS, second=NUMBERS, purpose=st.sampled_from(TokenPurpose))
def test_tokens_made_in_bulk_equal_tokens_made_one_by_one(length, first, second, purpose):
    tokens = Tokens([b"k" * length, b"another"])

    assert tokens.maker(purpose, second)(first) == tokens.make(purpose, first, second)


def test_every_token_made_in_bulk_is_accepted():
    make = TOKENS.maker(TokenPurpose.UNSUBSCRIBE, 11)

    made = [make(number) for number in range(1000)]
    assert [TOKENS.open(TokenPurpose.UNSUBSCRIBE, one) for one in made] == [
        (number, 11) for number in range(1000)
    ]
