import pytest

from nif.register.naming import folded, is_name, plain


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
def test_names_are_the_same_whatever_their_accents_and_apostrophes(name, same):
    assert folded(name) == same


def test_a_trade_mark_does_not_become_part_of_the_name():
    assert plain("Spotify™") == "Spotify™"


def test_a_name_has_a_letter_or_a_digit():
    assert is_name("!K7")
    assert is_name("音楽")
    assert not any(map(is_name, ("", "  ", "!!!", "´")))
