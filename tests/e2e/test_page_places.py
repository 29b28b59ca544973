"""The page's places, what is done with a message there, and its looks in other windows."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.browser import MODEL_PATIENCE_MS, Pane, Visit, chromium, try_out
from tests.support.clock import PATIENCE_SECONDS

pytestmark = pytest.mark.browser

LONG = " ".join(f"word{number}" for number in range(100))
READABLE = 4.5
"""Contrast that WCAG 2.2 asks of text (1.4.3)."""
CONTRAST = """node => {
    const light = ([red, green, blue]) => [red, green, blue]
        .map(of => of / 255).map(of => of <= 0.04045 ? of / 12.92 : ((of + 0.055) / 1.055) ** 2.4)
        .reduce((sum, of, place) => sum + of * [0.2126, 0.7152, 0.0722][place], 0);
    const parts = color => { const found = color.match(/[\\d.]+/g).map(Number); return found.length < 4 ? [...found, 1] : found; };
    const layers = [];
    for (let at = node; at; at = at.parentElement) layers.unshift(parts(getComputedStyle(at).backgroundColor));
    const ground = layers.reduce((under, over) => under.map((of, place) => of * (1 - over[3]) + over[place] * over[3]), [255, 255, 255]);
    const [dark, bright] = [light(ground), light(parts(getComputedStyle(node).color))].sort((a, b) => a - b);
    return (bright + 0.05) / (dark + 0.05);
}"""

BELOW = """node => node.querySelector(".actions").getBoundingClientRect().top
    - (node.querySelector(".bubble") ?? node.querySelector(".body")).getBoundingClientRect().bottom"""
"""How far below the words the buttons stand, in pixels."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visit]:
    """Run Chromium."""
    with chromium(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run the try-out with its scripted voice."""
    with try_out(tmp_path_factory.mktemp("sandbox"), LOCAL_MODEL="off") as url:
        yield url


@pytest.fixture
def visited(browser: Visit, address: str) -> Iterator[Visit]:
    """Open its page. It must complain about nothing."""
    browser.open(address)
    yield browser
    assert browser.faults == []


def own(pane: Pane, words: str) -> Any:
    """Return the person's message with these words."""
    return pane.root.locator(".messages > .own", has_text=words)


def test_a_waiting_message_is_taken_back_by_deleting_it(visited: Visit) -> None:
    pane = visited.pane("discord")
    pane.say(LONG)
    growing = pane.hears("word0")
    growing.hover()
    assert growing.get_by_role("button", name="Delete").count() == 0
    pane.say("what of cats?")
    cats = own(pane, "what of cats?")
    cats.locator(".reactions", has_text="👀").wait_for(timeout=MODEL_PATIENCE_MS)
    cats.hover()
    cats.get_by_role("button", name="Reply").click()
    visited.shot("discord-delete-offered")
    cats.get_by_role("button", name="Delete").click()
    cats.wait_for(state="detached")
    assert pane.root.locator(".quote").is_hidden()
    pane.hears("word99").get_by_role("button", name="Retry").wait_for()
    pane.say("what of dogs?")
    pane.hears("what of dogs?").get_by_role("button", name="Retry").wait_for()
    assert pane.root.locator(".bot .body", has_text="cats").count() == 0
    visited.page.reload()
    visited.page.locator("#status.good").wait_for()
    own(pane, "what of dogs?").wait_for()
    assert cats.count() == 0


def test_a_message_of_the_bot_is_not_deleted(visited: Visit, address: str) -> None:
    pane = visited.pane("discord")
    pane.say("/help")
    message = pane.hears("/reset").get_attribute("data-id")
    state = _call(address, "GET", "/api/state")[1]["discord"]
    channel = next(place for place, messages in state["messages"].items() if any(one["id"] == message for one in messages))
    before = state["messages"][channel]
    bots = [one["id"] for one in before if one["author"]["id"] == state["bot"]]
    for one in bots:
        assert _call(address, "POST", "/api/discord/delete", {"channel": channel, "message": one})[0] == 400
    assert [one["id"] for one in _call(address, "GET", "/api/state")[1]["discord"]["messages"][channel]] == [one["id"] for one in before]


@pytest.mark.parametrize(
    ("platform", "place", "other"), [("discord", "Thread: aside", "general"), ("telegram", "Topic: aside", "Sandbox group")]
)
def test_a_thread_is_a_conversation_of_its_own(visited: Visit, platform: str, place: str, other: str) -> None:
    pane = visited.pane(platform)
    pane.open_tab(other)
    pane.open_tab(place)
    pane.say("/provider modelslab")  # it is told the whole conversation, and the scripted voice says it back
    pane.hears("ModelsLab answers from now on")
    pane.say("my word is apple")
    pane.hears("my word is apple").get_by_role("button", name="Retry").wait_for()
    visited.shot(f"{platform}-thread")
    pane.open_tab(other)
    pane.say("/provider modelslab")
    pane.hears("ModelsLab answers from now on")
    pane.say("which word is mine?")
    answer = pane.hears("which word is mine?")
    answer.get_by_role("button", name="Retry").wait_for()
    assert "apple" not in answer.locator(".body").inner_text()
    pane.open_tab(place)
    assert own(pane, "which word is mine?").count() == 0
    visited.page.reload()
    visited.page.locator("#status.good").wait_for()
    pane.open_tab(other)
    assert own(pane, "apple").count() == 0
    pane.open_tab(place)
    own(pane, "my word is apple").wait_for()


def test_on_a_touch_screen_no_button_covers_what_was_written(visited: Visit) -> None:
    session = visited.page.context.new_cdp_session(visited.page)
    session.send("Emulation.setTouchEmulationEnabled", {"enabled": True})
    try:
        visited.page.set_viewport_size({"width": 390, "height": 844})
        assert visited.page.evaluate("matchMedia('(hover: none)').matches")
        for platform in ("discord", "telegram"):
            visited.page.locator(".switch").get_by_role("button", name=platform.capitalize()).click()
            pane = visited.pane(platform)
            pane.say("hi")
            written = pane.root.locator(".messages > .own").last
            assert written.evaluate(BELOW) >= 0
            button = written.get_by_role("button", name="Reply")
            pane.hears("hi").get_by_role("button", name="Retry").wait_for()
            visited.shot(f"touch-{platform}")
            button.click()
            assert "hi" in pane.root.locator(".quote").inner_text()
    finally:
        session.send("Emulation.setTouchEmulationEnabled", {"enabled": False})


def test_hint_and_status_share_one_line_on_a_small_desk(visited: Visit) -> None:
    visited.page.set_viewport_size({"width": 1280, "height": 800})
    visited.page.evaluate("document.getElementById('status').textContent += ' · Local model'")
    hint, status = (visited.page.locator(part).bounding_box() for part in (".hint", "#status"))
    visited.shot("small-desk")
    assert hint is not None
    assert status is not None
    assert hint["height"] < 1.5 * status["height"]
    assert abs(hint["y"] - status["y"]) < status["height"] / 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_are_readable_in_both_colour_schemes(visited: Visit, scheme: Any) -> None:
    visited.page.emulate_media(color_scheme=scheme)
    try:
        for platform in ("discord", "telegram"):
            pane = visited.pane(platform)
            pane.say("`code` and https://example.com")
            pane.hears("and https").get_by_role("button", name="Retry").wait_for()
            pane.say("/provider")
            pane.hears("Choose another").get_by_role("button").first.wait_for()
            pane.input.fill("/mod")
            pane.suggestions()
            visited.shot(f"{scheme}-{platform}")
            words = pane.root.locator(
                ".brand, .tabs button, .body, .body code, .body a, .pinged, .who b, time, .meta, .rows button, .menu b, .menu span"
            )
            faint = [
                (node.inner_text(), found) for node in words.all() if node.is_visible() and (found := node.evaluate(CONTRAST)) < READABLE
            ]
            assert faint == []
            pane.input.fill("")
        page = "light" if visited.page.evaluate("getComputedStyle(document.body).color.match(/\\d+/)[0] < 128") else "dark"
        assert page == scheme
    finally:
        visited.page.emulate_media(color_scheme="null")


def _call(address: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=PATIENCE_SECONDS)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()
