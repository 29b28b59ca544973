"""The process that reads one PDF: its bytes come by standard input, its text goes out as JSON. Started by `bot.pdf`, never imported.

Arguments: most pages, most characters, seconds of processor time, bytes of memory.
"""

from __future__ import annotations

import io
import json
import sys
from contextlib import suppress
from typing import Any

LIGATURES = dict(enumerate(("ff", "fi", "fl", "ffi", "ffl", "st", "st"), start=0xFB00))
"""Signs of typesetting that stand for several letters (U+FB00-FB06): who looks for a word would not find it. Nothing else is normalized:
superscripts and other signs of compatibility mean something."""


def main() -> None:
    """Read, and say what was found or what was in the way."""
    pages, chars, seconds, memory_bytes = (int(argument) for argument in sys.argv[1:5])
    data = sys.stdin.buffer.read()
    import pypdf  # noqa: PLC0415 - before the limits: it opens files

    _limit(seconds, memory_bytes)
    try:
        answer = _read(pypdf, data, pages, chars)
    except (MemoryError, pypdf.errors.LimitReachedError):
        answer = {"problem": "pdf_heavy"}
    except (pypdf.errors.DependencyError, pypdf.errors.FileNotDecryptedError, pypdf.errors.WrongPasswordError):
        answer = {"problem": "pdf_locked"}
    except Exception:  # noqa: BLE001 - whatever a broken file does to the library
        answer = {"problem": "pdf_broken"}
    sys.stdout.write(json.dumps(answer))


def _limit(seconds: int, memory_bytes: int) -> None:
    try:
        import resource  # noqa: PLC0415 - not on every system
    except ImportError:
        return
    limits = {
        resource.RLIMIT_AS: memory_bytes,
        resource.RLIMIT_CPU: max(1, seconds),
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
    }
    for limit, most in limits.items():
        with suppress(ValueError, OSError):  # a tighter one holds already
            resource.setrlimit(limit, (most, most))


def _read(pypdf: Any, data: bytes, most_pages: int, most_chars: int) -> dict[str, Any]:
    reader = pypdf.PdfReader(io.BytesIO(data))
    if reader.is_encrypted and not reader.decrypt(""):
        return {"problem": "pdf_locked"}
    texts: list[str] = []
    length = read = 0
    for page in reader.pages:
        if read >= most_pages or length > most_chars:
            break
        text = page.extract_text().strip()
        read += 1
        if text:
            texts.append(text)
            length += len(text) + 2
    # A font without a table of its signs can give halves of surrogate pairs, which no database stores.
    text = "\n\n".join(texts).translate(LIGATURES).encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "")
    return {"text": text[: most_chars + 1], "read": read, "pages": len(reader.pages)}


if __name__ == "__main__":
    main()
