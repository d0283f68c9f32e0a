"""How stored text is typeset. Stories are stored with straight apostrophes and shown with curly."""

import re

_OPENING = re.compile(r"(^|[\s(\[“‘—–-])'(?=\S)")


def typeset(text: str) -> str:
    """`text` with U+2018 and U+2019 for straight single quotes; everything else as it is."""
    return _OPENING.sub("\\1‘", text).replace("'", "’")
