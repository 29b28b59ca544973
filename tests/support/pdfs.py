"""PDFs, good and bad, made by hand."""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence

from pypdf import PdfReader, PdfWriter


def _document(objects: Sequence[bytes]) -> bytes:
    """Return a PDF of these objects, the first being its catalogue."""
    out = bytearray(b"%PDF-1.4\n")
    places = []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table)
    return bytes(out)


def stream(data: bytes, more: bytes = b"") -> bytes:
    return b"<< /Length %d %b >>\nstream\n%b\nendstream" % (len(data), more, data)


def pdf(*pages: str | bytes) -> bytes:
    """Return a PDF; a page is a line of text, or the object of its content stream."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"", b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    for page in pages:
        written = stream(f"BT /F1 12 Tf 72 720 Td ({page}) Tj ET".encode("latin-1")) if isinstance(page, str) else page
        objects.append(written)
        kids.append(len(objects) + 1)
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> /Contents %d 0 R >>"
            % len(objects)
        )
    objects[1] = b"<< /Type /Pages /Count %d /Kids [%b] >>" % (len(kids), b" ".join(b"%d 0 R" % kid for kid in kids))
    return _document(objects)


def mapped(line: str) -> bytes:
    """A page with a line of any signs: its font maps its codes to them (PDF 32000-1, 9.10.3)."""
    pairs = b"".join(b"<%02x> <%b>\n" % (code, sign.encode("utf-16-be").hex().encode()) for code, sign in enumerate(line, start=1))
    table = b"/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n1 begincodespacerange\n<00> <ff>\nendcodespacerange\n"
    table += b"%d beginbfchar\n%bendbfchar\nendcmap\nend\nend" % (len(line), pairs)
    codes = bytes(range(1, len(line) + 1)).hex().encode()
    return _document(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Count 1 /Kids [5 0 R] >>",
            b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /ToUnicode 6 0 R >>",
            stream(b"BT /F1 12 Tf 72 720 Td <%b> Tj ET" % codes),
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> /Contents 4 0 R >>",
            stream(table),
        ]
    )


def scan() -> bytes:
    """A page without any text."""
    return pdf(stream(b"0 0 612 792 re f"))


def bomb(megabytes: int = 2000) -> bytes:
    """A page whose content is a thousand times larger than it looks."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(b"(a) Tj\n" * 150_000) for _ in range(megabytes)) + packer.flush()
    return pdf(stream(packed, b"/Filter /FlateDecode"))


def endless() -> bytes:
    """A page that takes a very long time to read: many operators, cheap in bytes."""
    packed = zlib.compress(b"BT /F1 12 Tf (a) Tj ET\n" * 3_000_000, 9)
    return pdf(stream(packed, b"/Filter /FlateDecode"))


def circle() -> bytes:
    """Its tree of pages leads back to itself."""
    return _document([b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Count 1 /Kids [2 0 R] >>"])


def locked(password: str) -> bytes:
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf("secret text"))))
    writer.encrypt(password, "owner", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()
