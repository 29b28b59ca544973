"""A growing list, of which only the last item is read again.

Whether an item can be read apart from the others is told by its lines: no empty line among them, as that would part all items of the list;
nothing at the left edge but items of this one; and nothing that may go on from one item to the next, such as a fence or half a formula.
"""

from __future__ import annotations

import re

from bot.render.document import Block
from bot.render.fastpath import Known
from bot.render.formula import formulas_in, may_hold_formulas
from bot.render.markdown import read

_new = tuple.__new__  # see bot.render.markdown
_GAP = Block._fields.index("gap")
_CONTENT = r"[*_~`]{0,3}[^\x00-!#%-'*-/:-@\\-`{-\x7f\s][^\n]*+"  # of an item for certain: no rule, and no marker of another one
_ACROSS = re.compile(r"```|~~~|\]:")
_OPEN = re.compile(r"[$\\{}]")  # apart from formulas: what may be part of one, or change what one below it means


def _items(*markers: tuple[str, int]) -> re.Pattern[str]:
    """Return what matches items with such markers, each and the columns that its further lines stand in; group 1 is all but the last."""
    lines = "|".join([rf"{marker} {_CONTENT}(?:\n {{{columns},}}+\S[^\n]*+)*+" for marker, columns in markers])
    return re.compile(rf"((?:(?:{lines})\n)*)(?:{lines})\n*")


_LISTS = [
    *[_items((re.escape(sign), 2)) for sign in "-*+"],
    *[_items((rf"[0-9]{stop}", 3), (rf"[0-9][0-9]{stop}", 4)) for stop in (r"\.", r"\)")],
]
_MARKER = re.compile(r"([-*+])|[0-9]{1,2}([.)])")
_KINDS = dict(zip("-*+.)", _LISTS, strict=True))


class Items:
    """Reads lists as they grow, one after the other."""

    def __init__(self) -> None:
        self._known = Known()
        self._number: int | None = None
        self._head = ""  # items that are read
        self._blocks: list[Block] = []  # of these

    def read(self, source: str, number: int | None) -> list[Block]:
        """Return what `bot.render.markdown.read` returns: quickly, if it is the list of the last call that has grown."""
        marker = _MARKER.match(source)
        if not marker:
            return read(source, number=number, known=self._known)
        if number != self._number or not source.startswith(self._head):
            self._number, self._head, self._blocks = number, "", []
        begin = len(self._head)
        found = _KINDS[marker[1] or marker[2]].fullmatch(source, begin)
        if not found or _ACROSS.search(source, begin) or not _closes_formulas(found[1]):
            return read(source, number=number)
        blocks = self._below(source[begin:])
        if found[1]:
            last = max([index for index, block in enumerate(blocks) if block.marker and block.depth == 1])
            self._head, self._blocks, blocks = source[: found.end(1)], [*self._blocks, *blocks[:last]], blocks[last:]
        return [*self._blocks, *blocks]

    def _below(self, source: str) -> list[Block]:
        """Read items that go on with the list."""
        if not self._blocks:
            return read(source, number=self._number)
        for last in reversed(self._blocks):
            if last.marker and last.depth == 1:
                break
        first, *others = read(source, number=None if last.marker == "-" else int(last.marker[:-1]) + 1)
        return [_new(Block, (*first[:_GAP], False, *first[_GAP + 1 :])), *others]


def _closes_formulas(items: str) -> bool:
    """Tell whether no formula goes on from one line to another, or may do so with what follows."""
    at = 0
    for formula in formulas_in(items) if may_hold_formulas(items) else ():
        if _OPEN.search(items, at, formula.start) or items.find("\n", formula.start, formula.end) >= 0:
            return False
        at = formula.end
    return not (at or may_hold_formulas(items)) or not _OPEN.search(items, at)
