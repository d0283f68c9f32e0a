"""Pages taken apart by a parser that reads HTML as browsers do."""

from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import html5lib

from tests.web.public.channels import flat

ADDRESSES = frozenset(
    {
        *("href", "src", "action", "formaction", "data", "poster", "background", "cite"),
        *("xlink:href", "ping", "srcset", "codebase", "longdesc", "manifest"),
    }
)
Shape = tuple[str, tuple[str, ...]]
SCHEMES = {"http", "https", "mailto", ""}
ACTIVE = frozenset(
    {
        *("script", "style", "iframe", "object", "embed", "base", "meta", "link", "title", "svg"),
        *("math", "template", "noscript", "dialog", "frame", "frameset", "applet", "portal"),
        *("html", "head", "body", "main", "xmp", "plaintext", "marquee", "video", "audio"),
    }
)
FROM_MARKS = {("strong", ()), ("em", ()), ("a", ("href",)), ("a", ("href", "rel"))}
"""What the marks of a bullet make."""


@dataclass(frozen=True)
class Look:
    """What a page consists of, and every word in it."""

    shapes: set[Shape]
    active: Counter[str]
    words: str
    addresses: list[tuple[str, str, str]] = field(default_factory=list)
    data: list[str] = field(default_factory=list)


def look(html: str) -> Look:
    """`words` are those of texts and of attributes, each with one space where there were more."""
    shapes, active, addresses, data = set(), Counter[str](), [], []
    said: list[str] = []
    document = html5lib.parse(html, namespaceHTMLElements=False)
    for element in document.iter():
        if not isinstance(element.tag, str):
            continue
        shapes.add((element.tag, tuple(sorted(element.attrib))))
        if element.tag in ACTIVE:
            active[element.tag] += 1
        if element.tag == "script":
            data.append(element.text or "")
        for name, value in element.attrib.items():
            if str(name) in ADDRESSES:
                addresses.append((element.tag, str(name), value))
            said.append(f" {value} ")
    said += list(document.itertext())
    return Look(shapes, active, flat("".join(said)), addresses, data)


def trouble(page: Look, like: Look, known: set[Shape]) -> list[object]:
    """What is wrong with `page`: where it has more active elements than `like`, which says innocent
    words at the same address, has elements not `known` from innocent pages, or could act."""
    found: list[object] = [
        (tag, name)
        for tag, names in page.shapes
        for name in names
        if name.startswith("on")
        or name == "srcdoc"
        or (name == "style" and (tag, names) not in known)
    ]
    found += [one for one in page.addresses if not is_harmless(one[2])]
    found += sorted(page.shapes - known - FROM_MARKS)
    found += sorted((page.active - like.active) + (like.active - page.active))
    return found


def is_harmless(address: str) -> bool:
    """Can this stand in an href? Browsers pass over controls and spaces before a scheme."""
    bare = "".join(ch for ch in address if ch > " " and ch != "\x7f")
    try:
        scheme = urlsplit(bare).scheme
    except ValueError:
        return bare.startswith(("http://", "https://"))
    return scheme in SCHEMES and not bare.startswith(("//", "\\", "/\\"))
