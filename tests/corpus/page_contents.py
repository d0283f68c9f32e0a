"""What a page contains, by a parser that reads HTML as browsers do."""

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
MARKUP_SHAPES = {("strong", ()), ("em", ()), ("a", ("href",)), ("a", ("href", "rel"))}
"""The elements that the markup of a bullet produces."""


@dataclass(frozen=True)
class PageContents:
    """The elements, texts and addresses of a page."""

    shapes: set[Shape]
    active: Counter[str]
    words: str
    addresses: list[tuple[str, str, str]] = field(default_factory=list)
    data: list[str] = field(default_factory=list)


def parse_page(html: str) -> PageContents:
    """Parse a page. `words` has all texts and attribute values, with whitespace collapsed."""
    shapes, active, addresses, data = set(), Counter[str](), [], []
    texts: list[str] = []
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
            texts.append(f" {value} ")
    texts += list(document.itertext())
    return PageContents(shapes, active, flat("".join(texts)), addresses, data)


def find_injections(page: PageContents, like: PageContents, known: set[Shape]) -> list[object]:
    """Signs of an injection in `page`.

    `like` is the same page with innocent text: `page` must not have other active elements. `known`
    are the shapes of all innocent pages: `page` must not have others, nor event handlers.
    """
    found: list[object] = [
        (tag, name)
        for tag, names in page.shapes
        for name in names
        if name.startswith("on")
        or name == "srcdoc"
        or (name == "style" and (tag, names) not in known)
    ]
    found += [address for address in page.addresses if not is_harmless(address[2])]
    found += sorted(page.shapes - known - MARKUP_SHAPES)
    found += sorted((page.active - like.active) + (like.active - page.active))
    return found


def is_harmless(address: str) -> bool:
    """Is this address safe in an href? Browsers skip control characters before a scheme."""
    bare = "".join(ch for ch in address if ch > " " and ch != "\x7f")
    try:
        scheme = urlsplit(bare).scheme
    except ValueError:
        return bare.startswith(("http://", "https://"))
    return scheme in SCHEMES and not bare.startswith(("//", "\\", "/\\"))
