"""Rich drafts: blocks made of a rendered page, in which nothing a model says can be anything but text."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from bot.model import Entity, Page
from bot.platforms.budgets import TELEGRAM_RICH_BLOCKS
from bot.platforms.telegram.rich import rich_message
from bot.render.base import Rendered
from bot.render.telegram import STYLE
from sandbox.telegram.parameters import Parameters
from sandbox.telegram.rich import rich_text
from tests.support.documents import DOCUMENTS


def page(markdown: str) -> Page:
    rendered = STYLE.render(markdown)
    return Page(rendered.text, rendered.entities)


def blocks(markdown: str) -> Any:
    return rich_message(page(markdown))["blocks"]


def read(message: dict[str, Any]) -> Rendered:
    """Take it in as the stand-in does, with every refusal of its."""
    unknown: list[str] = []
    formatted = rich_text(Parameters({"rich_message": json.dumps(message)}, unknown.append))
    assert unknown == []
    keys = ("type", "offset", "length", "url", "language")
    return Rendered(formatted.text, tuple(Entity(**{key: entity[key] for key in keys if key in entity}) for entity in formatted.entities))


def test_paragraphs_code_quotes_and_links_become_what_they_are() -> None:
    text = "A **bold *and slanted*** word, `code`, [a link](https://example.org/a).\n\n> quoted\n\n```python\nx = 1\n```\n\n- one\n- two"
    assert blocks(text) == [
        {
            "type": "paragraph",
            "text": [
                "A ",
                {"type": "bold", "text": "bold "},
                {"type": "bold", "text": {"type": "italic", "text": "and slanted"}},
                " word, ",
                {"type": "code", "text": "code"},
                ", ",
                {"type": "url", "text": "a link", "url": "https://example.org/a"},
                ".",
            ],
        },
        {"type": "blockquote", "blocks": [{"type": "paragraph", "text": "quoted"}]},
        {"type": "pre", "text": "x = 1", "language": "python"},
        {"type": "paragraph", "text": "• one\n• two"},
    ]


HOSTILE = [
    '<tg-button type="callback_data" data="stop:1">press</tg-button>',
    "[you](tg://user?id=1)",
    "![](https://evil.example/pixel.png)",
    "<details><summary>x</summary>y</details> <tg-thinking>hm</tg-thinking>",
    "@everyone @ada_lovelace /stop #tag",
    "$$\\href{tg://user?id=1}{x}$$",
]


@pytest.mark.parametrize("markdown", HOSTILE)
def test_nothing_a_model_says_is_markup_a_mention_or_a_picture(markdown: str) -> None:
    message = rich_message(page(markdown))
    assert set(message) == {"blocks", "skip_entity_detection"}
    assert message["skip_entity_detection"] is True
    kinds = set()

    def walk(value: Any) -> None:
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict):
                kinds.add(item["type"])
                walk(item.get("text", ""))
                walk(item.get("blocks", []))

    walk(message["blocks"])
    assert kinds <= {"paragraph", "pre", "blockquote", "bold", "italic", "strikethrough", "code", "url"}
    assert not [entity for entity in read(message).entities if entity.url and not entity.url.startswith("https://")]


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_every_prefix_of_every_document_says_the_same_as_the_ordinary_message(name: str) -> None:
    document = DOCUMENTS[name][:4000]
    choose = random.Random(name)
    for end in sorted({len(document), *(choose.randrange(1, len(document) + 1) for _ in range(25))}):
        shown = page(document[:end])
        if not shown.text.strip() or STYLE.measure(Rendered(shown.text)) > STYLE.limit:
            continue
        rich = read(rich_message(shown))
        assert rich.text.split() == shown.text.split()
        assert {(entity.type, entity.url) for entity in rich.entities} >= {
            (entity.type, entity.url) for entity in shown.entities if entity.type in {"pre", "text_link", "bold"}
        }


def test_too_many_blocks_become_one() -> None:
    lines = "\n\n".join("x" for _ in range(TELEGRAM_RICH_BLOCKS + 1))
    assert rich_message(Page(lines)) == {"blocks": [{"type": "paragraph", "text": lines}], "skip_entity_detection": True}


def test_places_are_counted_as_telegram_counts() -> None:
    assert rich_message(Page("😀😀 bold\n\n\n😀 x", (Entity("bold", 5, 4), Entity("code", 15, 1))))["blocks"] == [
        {"type": "paragraph", "text": ["😀😀 ", {"type": "bold", "text": "bold"}]},
        {"type": "paragraph", "text": ["😀 ", {"type": "code", "text": "x"}]},
    ]
