"""XML that every parser can read, whatever text a story has.

Feeds and sitemaps are built as trees, which the standard library serializes.
"""

from collections.abc import Mapping
from xml.etree.ElementTree import Element, SubElement, tostring

from nif.typography import replace_invalid_xml


def new_root(tag: str, attributes: Mapping[str, str]) -> Element:
    return Element(tag, dict(attributes))


def add_element(
    parent: Element, tag: str, text: str = "", attributes: Mapping[str, str] | None = None
) -> Element:
    """Append a new child to `parent`."""
    clean = {name: replace_invalid_xml(value) for name, value in (attributes or {}).items()}
    child = SubElement(parent, tag, clean)
    child.text = replace_invalid_xml(text)
    return child


def write_document(tree: Element) -> str:
    """The whole document, with its XML declaration."""
    written: bytes = tostring(tree, encoding="utf-8", xml_declaration=True)
    return written.decode()
