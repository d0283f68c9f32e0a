"""Uploads are recognised by their bytes, and never read beyond the limit."""

import tracemalloc
from io import BytesIO

import pytest

from nif.errors import Invalid
from nif.media.uploads import receive_upload
from tests.media.drawing import Endless, a_file, a_picture

MOST = 2_000_000
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
C2PA = b"jumb\0\0\0\x1ejumd" + b"c2pa\0\x11\0\x10\x80\0\0\xaa\0\x38\x9b\x71\x03" + b"c2pa\0"


def refusal_of(data: bytes) -> str:
    with pytest.raises(Invalid) as caught, receive_upload(BytesIO(data), most=MOST):
        pass
    return caught.value.problems["file"]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "GIF"])
def test_five_formats_are_recognised_by_their_bytes(kind: str) -> None:
    with receive_upload(BytesIO(a_file(kind)), most=MOST) as received:
        assert received.format == kind
        assert not received.had_provenance
        assert received.file.tell() == 0
        assert len(received.sha256) == 64


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "This file is empty."),
        (SVG, "This is SVG, HTML or XML"),
        (b"\xef\xbb\xbf\n <?xml version='1.0'?>" + SVG, "This is SVG, HTML or XML"),
        (("\ufeff" + SVG.decode()).encode("utf-16-le"), "This is SVG, HTML or XML"),
        (b"<!DOCTYPE html><script>alert(1)</script>", "This is SVG, HTML or XML"),
        (b"II*\0" + b"\0" * 99, "This is a TIFF file."),
        (b"%PDF-1.7", "This is a PDF file."),
        (b"PK\x03\x04", "This is a ZIP file."),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "This is a HEIC photograph"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", "This is a video"),
        (b"\xff\xd8", "This is not a picture that NIF can read."),
        (b"A" * 1000, "This is not a picture that NIF can read."),
    ],
)
def test_other_files_are_refused_with_a_sentence(data: bytes, words: str) -> None:
    assert refusal_of(data).startswith(words)


@pytest.mark.parametrize(
    "hidden",
    [
        b"<script>alert(1)</script>",
        b"<SCRIPT src=//evil.example>",
        b"<html>",
        b"<!doctype html >",
        b"<?php system($_GET['c']);",
        b'<svg onload="alert(1)" xmlns="http://www.w3.org/2000/svg">',
    ],
)
def test_markup_hidden_in_a_valid_picture_is_refused(hidden: bytes) -> None:
    in_a_comment = a_file(comment=hidden)
    behind_the_end = a_file("PNG") + hidden

    assert "contains a hidden web page or script" in refusal_of(in_a_comment)
    assert "contains a hidden web page or script" in refusal_of(behind_the_end)


def test_an_upload_of_the_largest_size_is_accepted_and_one_byte_more_is_refused() -> None:
    data = a_file()

    with receive_upload(BytesIO(data), most=len(data)) as received:
        assert received.size == len(data)
    with pytest.raises(Invalid), receive_upload(BytesIO(data), most=len(data) - 1):
        pass


def test_an_endless_upload_is_cut_off_without_filling_memory() -> None:
    endless = Endless()
    tracemalloc.start()
    with pytest.raises(Invalid) as caught, receive_upload(endless, most=25_000_000):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert "at most 25 MB" in caught.value.problems["file"]
    assert endless.read_so_far <= 25_000_000 + 2 * 64 * 1024
    assert peak < 2_000_000


def test_content_credentials_are_detected() -> None:
    with receive_upload(BytesIO(a_file() + C2PA), most=MOST) as received:
        assert received.had_provenance
    linked = a_file(xmp=b'<x dcterms:provenance="https://example.com/manifest"/>')
    with receive_upload(BytesIO(linked), most=MOST) as received:
        assert received.had_provenance


def test_a_declared_ai_source_is_detected() -> None:
    declaration = b"http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    with receive_upload(BytesIO(a_file(image=a_picture(), xmp=declaration)), most=MOST) as received:
        assert received.declared_source_type == "trainedAlgorithmicMedia"
