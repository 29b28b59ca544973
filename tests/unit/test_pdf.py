"""The text of PDFs, and of those that are made to break their reader, the reason why there is none: in time, and nothing else breaks."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from bot.pdf import PdfError, PdfReader, PdfText, PdfTrouble
from tests.support import pdfs
from tests.support.seam import eventually

CHARS = 10_000


async def trouble(data: bytes, **limits) -> PdfTrouble:
    with pytest.raises(PdfError) as caught:
        await PdfReader(**limits).text(data, chars=CHARS)
    return caught.value.trouble


def children() -> set[str]:
    """The processes that this one has started and that still run."""
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


async def test_the_text_of_all_pages_is_read():
    assert await PdfReader().text(pdfs.pdf("first page", "second page"), chars=CHARS) == PdfText("first page\n\nsecond page", 2, 2)


async def test_ligatures_are_read_as_their_letters_and_nothing_else_is_changed():
    line = "ﬀ ﬁ ﬂ ﬃ ﬄ ﬅ ﬆ x² ① Å ½ ™"
    found = await PdfReader().text(pdfs.mapped(line), chars=CHARS)
    assert found.text == "ff fi fl ffi ffl st st x² ① Å ½ ™"


async def test_reading_stops_after_so_many_pages_and_so_many_characters():
    data = pdfs.pdf(*(f"page {number}" for number in range(10)))
    assert await PdfReader(pages=3).text(data, chars=CHARS) == PdfText("page 0\n\npage 1\n\npage 2", 3, 10)
    found = await PdfReader().text(data, chars=12)
    assert (len(found.text), found.read, found.pages) == (13, 2, 10)


async def test_a_scan_and_a_locked_one_are_told_apart_and_an_empty_password_opens():
    assert await trouble(pdfs.scan()) is PdfTrouble.SCAN
    assert await trouble(pdfs.locked("password")) is PdfTrouble.LOCKED
    assert (await PdfReader().text(pdfs.locked(""), chars=CHARS)).text == "secret text"


@pytest.mark.parametrize(
    "data",
    [
        b"%PDF-1.4",
        b"%PDF-1.4\n" + bytes(1000),
        pdfs.pdf("x")[:300],
        b"%PDF-1.4\n" + b"<<" * 100_000,
        pdfs.pdf().replace(b"/Kids", b"/Cats"),
    ],
    ids=["nothing", "zeros", "half", "deep", "no pages"],
)
async def test_a_broken_one_is_told(data):
    assert await trouble(data) in {PdfTrouble.BROKEN, PdfTrouble.SCAN}


async def test_one_that_leads_back_to_itself_is_told():
    assert await trouble(pdfs.circle(), seconds=10.0) in {PdfTrouble.BROKEN, PdfTrouble.HEAVY, PdfTrouble.SCAN}


async def test_a_bomb_takes_no_more_memory_than_it_is_given():
    data = pdfs.bomb(megabytes=300)
    assert len(data) < 2_000_000
    assert await trouble(data, memory_bytes=256 * 1024 * 1024) in {PdfTrouble.HEAVY, PdfTrouble.BROKEN}


async def test_one_that_takes_too_long_is_given_up_and_its_process_is_gone():
    before = children()
    assert await trouble(pdfs.endless(), seconds=1.0) is PdfTrouble.HEAVY
    assert children() == before


async def test_where_no_process_can_be_started_one_file_is_not_read_and_no_more(monkeypatch):
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    assert await trouble(pdfs.pdf("text")) is PdfTrouble.HEAVY


async def test_who_no_longer_waits_leaves_no_process_behind():
    before = children()
    task = asyncio.create_task(PdfReader().text(pdfs.endless(), chars=CHARS))
    await eventually(lambda: children() != before)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert children() == before


async def test_the_process_has_none_of_the_bots_secrets(monkeypatch, tmp_path):
    monkeypatch.setenv("DISCORD_TOKEN", "canary")
    spy = tmp_path / "spy.py"
    spy.write_text(
        "import json, os, sys\nsys.stdin.buffer.read()\nprint(json.dumps({'text': str(sorted(os.environ)), 'read': 1, 'pages': 1}))"
    )
    monkeypatch.setattr("bot.pdf._READER", spy)
    found = await PdfReader().text(b"", chars=CHARS)
    assert "TOKEN" not in found.text
