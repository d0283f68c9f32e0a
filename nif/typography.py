"""Typesetting of stored text: stories are stored with straight quotes and shown with curly ones."""

import re
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup, escape

NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 excludes: most controls, lone surrogates, U+FFFE and U+FFFF."""

_OPENING = re.compile(r"(^|[\s(\[“‘—–-])'(?=\S)")


def replace_invalid_xml(text: str) -> str:
    """`text` with U+FFFD for each character that XML cannot hold, even escaped."""
    return NOT_IN_XML.sub("\ufffd", text)


def typeset(text: str) -> str:
    """`text` with U+2018 and U+2019 for straight single quotes."""
    return _OPENING.sub("\\1‘", text).replace("'", "’")


def link_names(sentence: Mapping[str, Any]) -> Markup:
    """A sentence of a transparency block, with its names linked to their addresses.

    It replaces in one pass, the longest names first, because a name may be part of another name
    or of an address.
    """
    addresses = dict(sentence["links"])
    names = "|".join(map(re.escape, sorted(addresses, key=len, reverse=True)))
    parts = re.split(f"({names})", sentence["text"]) if names else [sentence["text"]]
    html = Markup("")
    for part in parts:
        escaped = escape(typeset(part))
        address = addresses.pop(part, None)
        html += Markup('<a href="{}">{}</a>').format(address, escaped) if address else escaped
    return html
