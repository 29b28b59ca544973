"""The whole bridge under load: `make bench`, or `python -m bench.load`.

The sandbox and the bridge run as two processes over real sockets, the bridge as a user starts it (`python -m bot.cli run`). One clock says
when each token was emitted and when each text became visible. The tables are Markdown; seconds unless said otherwise:

complete      answers that stand whole and exact, in one message, with no part of them beside it
first         from the first token's emission to the first visible text
staleness     mean over the tokens from emission to being visible
limit         the least staleness any schedule could reach for the very moments at which the tokens were emitted, knowing the end in
              advance (`bench.limit`; `bench.shared` where chats share the overall budget), and half a round trip
ratio         staleness by limit, both as means over the answers; "mean ratio" is the mean of each answer's own
lag           from the last token's emission to the whole text
calls         creates, edits and deletions for each answer, refused ones too
429s          refused calls of any kind
CPU           milliseconds of processor time of the bridge for each 1,000 tokens, everything from the question on
memory        the most that was ever resident, MB (10^6 bytes)
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench import report, sections
from bench.processes import BenchError
from bench.sections import Choice

SECTIONS: dict[str, Callable[[Choice], Any]] = {
    "answers": sections.answers,
    "crowd": sections.crowd,
    "groups": sections.groups,
    "mix": sections.mix,
    "thinking": sections.thinking,
    "others": sections.others,
    "trouble": sections.trouble,
    "stop": sections.stop,
}
JUDGED = 'What was asked, and what is possible: "possible" is the least that any schedule reaches that does not know the end'


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables. Return 1 if a promise that does not depend on the machine's speed was broken, 2 if nothing could be measured."""
    parser = argparse.ArgumentParser(prog="python -m bench.load", description="The whole bridge under load.")
    parser.add_argument("--only", choices=[*SECTIONS], action="append", help="only this table; may be repeated")
    parser.add_argument("--quick", action="store_true", help="a short version, whose figures are not looked at")
    parser.add_argument("--platform", choices=["discord", "telegram"], action="append", help="only this one; may be repeated")
    parser.add_argument("--n", type=int, nargs="+", help="answers at the same time")
    parser.add_argument("--lengths", type=float, nargs="+", help="seconds of an answer")
    parser.add_argument("--round-trip", type=float, nargs="+", help="seconds of a call to the platform")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    arguments = parser.parse_args(argv)
    choice = Choice(arguments.platform or ["discord", "telegram"], arguments.n, arguments.lengths, arguments.round_trip)
    chosen = {"quick": sections.quick} if arguments.quick else {name: SECTIONS[name] for name in arguments.only or SECTIONS}
    tables: dict[str, Any] = {}
    broken: list[str] = []
    try:
        for name, section in chosen.items():
            begun = time.monotonic()
            made = asyncio.run(section(choice))
            seconds = time.monotonic() - begun
            print(f"## {made.title}\n\n{report.markdown(made.rows)}\n", flush=True)
            if made.judged:
                print(f"{JUDGED}\n\n{report.markdown(made.judged)}\n", flush=True)
            print(f"This table took {seconds:.0f} s.\n", flush=True)
            tables[name] = made.rows
            tables |= {f"{name}, asked": made.judged} if made.judged else {}
            broken += made.broken
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    if arguments.json:
        report.write(arguments.json, tables)
    print("\n".join(f"broken: {line}" for line in broken) if broken else "Every answer arrived whole and once; no call was refused.")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
