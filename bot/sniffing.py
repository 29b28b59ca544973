"""What a file really is, told by its first bytes: neither its name nor the type it is said to have is believed. Text is decoded."""

from __future__ import annotations

import codecs
import re

PDF = "application/pdf"
_HEAD_BYTES = 1024
"""A PDF may have other bytes before its header, as old readers took it."""
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
"""Signs that no text has; tab, line ends, form feed and escape (of coloured logs) are none of them."""
_LOOKED_AT_CHARS = 1_000_000
"""So much of a text is looked at: more of it is never used (`FILE_CHARACTERS`)."""
_RASTER_NAMES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif", ".ico")


def picture_type(data: bytes) -> str | None:
    """Return the media type of a picture that models take; None for anything else."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return None


def is_pdf(data: bytes) -> bool:
    """Tell whether a file is a PDF."""
    return b"%PDF-" in data[:_HEAD_BYTES]


def said_to_be_picture(name: str, media_type: str) -> bool:
    """Tell whether a file is said to be a picture made of pixels. A drawing in SVG is text."""
    kind = media_type.partition(";")[0].strip().lower()
    return (kind.startswith("image/") and kind != "image/svg+xml") or name.lower().endswith(_RASTER_NAMES)


def said_to_be_pdf(name: str, media_type: str) -> bool:
    """Tell whether a file is said to be a PDF."""
    return media_type.partition(";")[0].strip().lower() == PDF or name.lower().endswith(".pdf")


def decoded(data: bytes) -> str | None:
    """Return a file's text, with plain line ends: UTF-8, UTF-16 with its mark, else Western European; None if it is no text."""
    encoding = next((name for mark, name in _BOMS if data.startswith(mark)), None)
    for one in [encoding] if encoding else ["utf-8", "cp1252", "latin-1"]:
        try:
            text = data.decode(one)
        except UnicodeDecodeError:
            continue
        if _CONTROLS.search(text, 0, _LOOKED_AT_CHARS):
            return None
        return text.replace("\r\n", "\n").replace("\r", "\n")
    return None
