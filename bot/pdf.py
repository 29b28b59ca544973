"""The text of a PDF, read by a process of its own: a PDF can be made to take all memory and time there is, or to break its reader."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

log = logging.getLogger(__name__)

SECONDS = 20.0
"""A PDF that takes longer is given up; the process may use so much of a processor's time, too."""
MEMORY_BYTES = 512 * 1024 * 1024
"""Address space of the process, where the system can bound it (not on Windows)."""
MOST_PAGES = 300
AT_ONCE = 2
"""So many are read at the same time; the others wait."""
_READER = Path(__file__).with_name("pdf_reader.py")


class PdfTrouble(StrEnum):
    """Why a PDF has no text for us."""

    LOCKED = "pdf_locked"  # a password is needed
    SCAN = "pdf_scan"  # its pages are pictures
    BROKEN = "pdf_broken"
    HEAVY = "pdf_heavy"  # it takes too much time or memory


class PdfError(Exception):
    """A PDF's text can't be had."""

    def __init__(self, trouble: PdfTrouble) -> None:
        super().__init__(str(trouble))
        self.trouble = trouble


@dataclass(frozen=True, slots=True)
class PdfText:
    """What a PDF says.

    Attributes:
        text: Of the pages read, parted by blank lines.
        read: How many pages were read.
        pages: How many it has.
    """

    text: str = field(repr=False)
    read: int
    pages: int


class PdfReader:
    """Reads PDFs, a few at once."""

    def __init__(self, *, seconds: float = SECONDS, memory_bytes: int = MEMORY_BYTES, pages: int = MOST_PAGES) -> None:
        self._seconds = seconds
        self._memory_bytes = memory_bytes
        self._pages = pages
        self._room = asyncio.Semaphore(AT_ONCE)

    async def text(self, data: bytes, *, chars: int) -> PdfText:
        """Return a PDF's text; reading stops once there is more than `chars` of it.

        Raises:
            PdfError: It has none that can be had.
        """
        try:
            async with self._room:
                said = await self._ask(data, chars)
        except OSError as error:  # no memory, no process or no file to be had: one file less, and not the whole answer
            log.warning("a PDF could not be read: its process did not start: %s", type(error).__name__)
            raise PdfError(PdfTrouble.HEAVY) from None
        try:
            answer = json.loads(said)
            if problem := answer.get("problem"):
                raise PdfError(PdfTrouble(problem))
            found = PdfText(str(answer["text"]), int(answer["read"]), int(answer["pages"]))
        except (ValueError, KeyError, TypeError, AttributeError):  # it was ended half-way: by its limits, or by what it read
            raise PdfError(PdfTrouble.HEAVY) from None
        if not found.text.strip():
            raise PdfError(PdfTrouble.SCAN)
        return found

    async def _ask(self, data: bytes, chars: int) -> bytes:
        # -I: nothing of the environment or the working directory is looked at; and none of the bot's secrets is in it.
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            str(_READER),
            *(str(number) for number in (self._pages, chars, int(self._seconds), self._memory_bytes)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={},
            cwd=_READER.anchor,
        )
        try:
            async with asyncio.timeout(self._seconds):
                said, _ = await process.communicate(data)
        except TimeoutError:
            log.info("a PDF was given up after %.0f s", self._seconds)
            return b""
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.communicate()
        return said
