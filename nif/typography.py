"""How stored text is typeset. Stories are stored with straight apostrophes and shown with curly."""

import re
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup, escape

_OPENING = re.compile(r"(^|[\s(\[“‘—–-])'(?=\S)")


def typeset(text: str) -> str:
    """`text` with U+2018 and U+2019 for straight single quotes; everything else as it is."""
    return _OPENING.sub("\\1‘", text).replace("'", "’")


def linked(sentence: Mapping[str, Any]) -> Markup:
    """A sentence of a transparency block, with its names linked to their addresses."""
    html = escape(typeset(sentence["text"]))
    for words, address in sentence["links"]:
        name = escape(typeset(words))
        html = html.replace(name, Markup('<a href="{}">{}</a>').format(address, name), 1)
    return html
