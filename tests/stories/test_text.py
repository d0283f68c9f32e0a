"""Markup that a line may have is rendered; everything else is plain text."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nif.stories.text import render_inline_html, split_source_references, strip_markup


@pytest.mark.parametrize(
    ("text", "marked_up", "words"),
    [
        ("It sold *twice*.", "It sold <em>twice</em>.", "It sold twice."),
        ("A **big** deal", "A <strong>big</strong> deal", "A big deal"),
        (
            "See [the deal](https://e.com/a?b=1&c=2)",
            'See <a href="https://e.com/a?b=1&amp;c=2">the deal</a>',
            "See the deal",
        ),
        ("NIF's", "NIF’s", "NIF's"),
        (r"5 \* 3", "5 * 3", "5 * 3"),
        ("<b>x</b>", "&lt;b&gt;x&lt;/b&gt;", "<b>x</b>"),
        ("a_b_c and 2*3", "a_b_c and 2*3", "a_b_c and 2*3"),
        ("[x](javascript:alert(1))", "[x](javascript:alert(1))", "[x](javascript:alert(1))"),
        ("[x](/admin/) [y](//e.com)", "x y", "x y"),
        ("[x](data:text/html,<script>)", None, "[x](data:text/html,<script>)"),
    ],
)
def test_a_line_is_rendered_as_html_and_as_plain_text(
    text: str, marked_up: str | None, words: str
) -> None:
    assert strip_markup(text) == words
    if marked_up is not None:
        assert render_inline_html(text) == marked_up


@pytest.mark.parametrize(
    ("bullet", "line", "numbers"),
    [
        ("It sold. [1]", "It sold.", [1]),
        ("It sold. [2, 1,2]", "It sold.", [1, 2]),
        ("See [1] there", "See [1] there", []),
        ("[words](https://e.com)", "[words](https://e.com)", []),
        ("It sold. []", "It sold. []", []),
        ("", "", []),
    ],
)
def test_a_bullet_cites_its_sources_at_its_end(bullet: str, line: str, numbers: list[int]) -> None:
    assert split_source_references(bullet) == (line, numbers)


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, list[tuple[str, str | None]]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, attrs))


@given(st.text(alphabet="ab*_[]()<>\"'&:/. \\javscripthtp", max_size=60))
def test_any_text_renders_only_marks_and_safe_links(text: str) -> None:
    tags = Tags()
    tags.feed(render_inline_html(text))

    for tag, attributes in tags.found:
        assert tag in {"em", "strong", "a"}
        assert [name for name, _ in attributes] == (["href"] if tag == "a" else [])
        for _, address in attributes:
            assert (address or "").startswith(("http://", "https://"))
