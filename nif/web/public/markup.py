"""XML that every parser can read, whatever a story says.

Feeds and sitemaps are trees that the standard library writes: nobody glues tags together.
"""

from collections.abc import Mapping
from xml.etree.ElementTree import Element, SubElement, tostring

from nif.typography import legible


def root(tag: str, attributes: Mapping[str, str]) -> Element:
    return Element(tag, dict(attributes))


def add(
    parent: Element, tag: str, text: str = "", attributes: Mapping[str, str] | None = None
) -> Element:
    """A new last child of `parent`."""
    clean = {name: legible(value) for name, value in (attributes or {}).items()}
    child = SubElement(parent, tag, clean)
    child.text = legible(text)
    return child


def document(tree: Element) -> str:
    """The whole file, with its declaration."""
    written: bytes = tostring(tree, encoding="utf-8", xml_declaration=True)
    return written.decode()
