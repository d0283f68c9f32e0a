import pytest
from hypothesis import given
from hypothesis import strategies as st

from nif.typography import typeset


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("Anna's Archive", "Anna’s Archive"),
        ("the authors' works", "the authors’ works"),
        ("it's news", "it’s news"),
        ("'responsible' AI", "‘responsible’ AI"),
        ("(the 'fee')", "(the ‘fee’)"),
        ("“'Quoted' twice”", "“‘Quoted’ twice”"),
        ("a fee—'session' pay", "a fee—‘session’ pay"),
        ("Anna’s own", "Anna’s own"),
        ('5" and "said" stay', '5" and "said" stay'),
        ("`code` stays", "`code` stays"),
        ("", ""),
    ],
)
def test_single_quotes_are_curled_and_all_else_is_left(stored, shown):
    assert typeset(stored) == shown


@given(st.text(alphabet=st.sampled_from("ab '‘’“”(-—\n"), max_size=40))
def test_typesetting_keeps_the_length_and_changes_nothing_twice(text):
    shown = typeset(text)

    assert "'" not in shown
    assert len(shown) == len(text)
    assert typeset(shown) == shown
