import pytest
from hypothesis import given
from hypothesis import strategies as st

from nif.errors import Invalid
from nif.mail.addresses import (
    EmailAddress,
    _parse_common_form,
    _parse_with_library,
    parse_address,
    suggest_correction,
)

LOCAL_64 = "l" * 64
DOMAIN_189 = ".".join(["d" * 63, "d" * 62, "d" * 62])


@pytest.mark.parametrize(
    ("typed", "written"),
    [
        ("ann@example.com", "ann@example.com"),
        ("  ann@example.com\n", "ann@example.com"),
        ("Ann.Lee@Example.COM", "Ann.Lee@example.com"),
        ("ann+news@example.com", "ann+news@example.com"),
        ("o'hara_1-2@news.example.co.uk", "o'hara_1-2@news.example.co.uk"),
        ("ann@bücher.example", "ann@xn--bcher-kva.example"),
        ("ann@BÜCHER.example", "ann@xn--bcher-kva.example"),
        ("ann@xn--bcher-kva.example", "ann@xn--bcher-kva.example"),
        ("ann@faß.example", "ann@xn--fa-hia.example"),
        ("ann@ｅxample.com", "ann@example.com"),
        (f"{LOCAL_64}@{DOMAIN_189}", f"{LOCAL_64}@{DOMAIN_189}"),
    ],
)
def test_an_address_is_stored_as_mail_is_sent_to_it(typed, written):
    assert parse_address(typed) == EmailAddress(written, written.lower())


@pytest.mark.parametrize("spelling", ["ANN@example.com", "ann@EXAMPLE.com", " Ann@Example.Com"])
def test_spellings_of_one_address_have_one_canonical_form(spelling):
    assert parse_address(spelling).canonical == parse_address("ann@example.com").canonical


@pytest.mark.parametrize("other", ["ann+news@example.com", "a.nn@example.com", "ann@example.org"])
def test_different_addresses_have_different_canonical_forms(other):
    assert parse_address(other).canonical != parse_address("ann@example.com").canonical


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "   ",
        "ann",
        "ann@",
        "@example.com",
        "ann@@example.com",
        "ann@example",
        "ann@localhost",
        "ann@[127.0.0.1]",
        "ann@127.0.0.1",
        "ann@example..com",
        "ann@example.com.",
        "ann@-example.com",
        "ann@exam ple.com",
        ".ann@example.com",
        "a..nn@example.com",
        "ann lee@example.com",
        '"ann lee"@example.com',
        "Ann <ann@example.com>",
        "ann@example.com, bob@example.com",
        "ann@example.com\nBcc: bob@example.com",
        "ann\0@example.com",
        "ann@example.invalid",
        f"{LOCAL_64}l@example.com",
        f"{LOCAL_64}@{DOMAIN_189}d",
        "a" * 1_000_000,
        "ann@" + "ü." * 120 + "example",
    ],
    ids=range(27),
)
def test_an_invalid_address_is_refused_with_a_message(typed):
    with pytest.raises(Invalid) as refusal:
        parse_address(typed)

    [sentence] = refusal.value.problems.values()
    assert list(refusal.value.problems) == ["email"]
    assert sentence[0].isupper()
    assert sentence.endswith(".")
    assert len(sentence) < 300


@pytest.mark.parametrize(
    "typed", ["jürgen@example.com", "пример@пример.example", "ａnn@example.com"]
)
def test_characters_that_need_smtputf8_are_refused_with_a_message(typed):
    with pytest.raises(Invalid, match="such letters before the @"):
        parse_address(typed)


@given(st.text(max_size=40) | st.emails() | st.from_regex(r"\S+@\S+\.\S+", fullmatch=True))
def test_any_text_is_refused_or_parses_to_itself(typed):
    try:
        address = parse_address(typed)
    except Invalid:
        return

    assert parse_address(address.written) == address
    assert parse_address(address.canonical).canonical == address.canonical
    assert address.written.isascii()
    assert address.written.isprintable()
    assert " " not in address.written


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("ann@gmial.com", "ann@gmail.com"),
        ("Ann@GMAIL.CON", "Ann@gmail.com"),
        ("ann@hotmial.com", "ann@hotmail.com"),
        ("ann@gmail.com", None),
        ("gmial.com@example.com", None),
        ("ann@news.gmial.com", None),
    ],
)
def test_a_typing_error_gives_a_suggestion_and_no_refusal(typed, meant):
    assert suggest_correction(parse_address(typed)) == meant


LETTERS = "aBz09_+'-."
WORDS = st.text(LETTERS, max_size=70)
LABELS = st.one_of(
    st.text("aBz09-", min_size=1, max_size=66),
    st.sampled_from(["com", "test", "LOCAL", "onion", "arpa", "xn--bcher-kva", "ab--c", "c1"]),
)
PLAIN = st.builds(
    lambda local, labels: f"{local}@{'.'.join(labels)}",
    st.one_of(WORDS, st.sampled_from(["Info", "POSTMASTER", "abuse", "a", "l" * 64, "l" * 65])),
    st.lists(LABELS, min_size=1, max_size=5),
)


@given(PLAIN)
def test_the_quick_parser_and_the_library_parse_an_address_alike(typed):
    quick = _parse_common_form(typed)

    assert quick is None or quick == _parse_with_library(typed)


def test_the_quick_parser_parses_most_addresses():
    for typed in ("ann@example.com", "Ann.Lee+news@Mail.Example.co.uk", "INFO@example.org"):
        assert _parse_common_form(typed) == _parse_with_library(typed)
