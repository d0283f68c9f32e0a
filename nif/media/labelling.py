"""What every file of a picture says about itself: whose it is, and how it came to be.

An XMP packet (ISO 16684-1) with the few properties of the IPTC Photo Metadata Standard 2024.1 that
are NIF's to say. Nothing of the upload's own metadata is passed on.
"""

from xml.sax.saxutils import escape

from nif.media.models import Picture, SourceType
from nif.typography import legible

SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"

TERMS = {
    SourceType.CAPTURE: "digitalCapture",
    SourceType.CREATION: "digitalCreation",
    SourceType.DATA_DRIVEN: "dataDrivenMedia",
    SourceType.SCREEN: "screenCapture",
    SourceType.PRINT: "print",
    SourceType.COMPOSITE: "compositeCapture",
    SourceType.WITH_AI: "compositeWithTrainedAlgorithmicMedia",
    SourceType.BY_AI: "trainedAlgorithmicMedia",
}
"""The terms of the IPTC's vocabulary of digital source types."""

PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about=""
 xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"
 xmlns:xmpRights="http://ns.adobe.com/xap/1.0/rights/"
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">
{properties}
</rdf:Description>
</rdf:RDF>
</x:xmpmeta>
<?xpacket end="r"?>"""


def label(picture: Picture) -> bytes:
    """The packet that stands in each file of `picture`."""
    plain = {
        "photoshop:Credit": picture.credit,
        "xmpRights:WebStatement": picture.licence_url,
        "Iptc4xmpExt:DigitalSourceType": SOURCE_TYPES + TERMS[picture.source_type],
    }
    lines = [f"<{name}>{escape(words)}</{name}>" for name, words in plain.items() if words]
    if picture.licence:
        lines.append(
            '<dc:rights><rdf:Alt><rdf:li xml:lang="x-default">'
            f"{escape(picture.licence)}</rdf:li></rdf:Alt></dc:rights>"
        )
    return PACKET.format(properties=legible("\n".join(lines))).encode()
