"""The try-out from outside: a person, a browser, and the whole bridge behind the page."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from adapters.local import local_available
from bot.presses import SLIP_SECONDS
from tests.support.browser import MODEL_PATIENCE_MS, Visit, chromium, try_out
from tests.support.clock import PATIENCE_SECONDS

pytestmark = pytest.mark.browser

PLATFORMS = ("discord", "telegram")
PROVIDERS = {
    "netmind": ("Netmind Power", "meta-llama/Meta-Llama-3.1-8B-Instruct"),
    "segmind": ("Segmind", "llama-v3p1-8b-instruct"),
    "modelslab": ("ModelsLab", "zephyr-7b-beta"),
}
"""Title and first model of each."""
LONG = " ".join(f"word{number}" for number in range(100))
HOSTILE = (
    """<img src=x onerror="document.title='owned'"><script>document.title='owned'</script> [press](javascript:document.title='owned')"""
)


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
    """Open its page. It must complain about nothing and ask nobody else for anything."""
    browser.open(address)
    yield browser
    assert browser.faults == []
    assert browser.hosts == {urlsplit(address).netloc}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_answer_grows_before_the_readers_eyes(visited: Visit, platform: str) -> None:
    pane = visited.pane(platform)
    pane.watch()
    pane.say(LONG)
    pane.hears("word0")
    visited.shot(f"{platform}-answer-growing")
    pane.hears("word99")
    visited.shot(f"{platform}-answer-whole")
    texts = pane.watched()
    assert len(texts) > 2
    assert texts == sorted(texts, key=len)
    assert all(texts[-1].startswith(text.rstrip(" …")) for text in texts)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_what_waits_behind_a_running_answer_shows_it_until_its_turn_has_come(visited: Visit, platform: str) -> None:
    pane = visited.pane(platform)
    pane.say(LONG)
    pane.hears("word0")
    pane.say("and then?")
    waiting = pane.root.locator(".reactions", has_text="👀")
    waiting.wait_for(timeout=MODEL_PATIENCE_MS)
    visited.shot(f"{platform}-waiting")
    pane.hears("word99")
    waiting.wait_for(state="detached", timeout=MODEL_PATIENCE_MS)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_what_waits_shows_it_after_the_page_is_loaded_anew_too(visited: Visit, platform: str) -> None:
    pane = visited.pane(platform)
    pane.say(" ".join(f"word{number}" for number in range(230)))
    pane.hears("word0")
    pane.say("and after that?")
    pane.root.locator(".reactions", has_text="👀").wait_for(timeout=MODEL_PATIENCE_MS)
    visited.page.reload()
    visited.page.locator("#status.good").wait_for()
    anew = visited.pane(platform)
    anew.root.locator(".own, .message:not(.bot)", has_text="and after that?").last.locator(".reactions", has_text="👀").wait_for()
    anew.say("/stop")
    anew.hears("Stopping")


@pytest.mark.parametrize("platform", PLATFORMS)
def test_files_are_attached_and_read(visited: Visit, platform: str) -> None:
    pane = visited.pane(platform)
    pane.attach({"name": "notes.txt", "mimeType": "text/plain", "buffer": b"the secret is 4711"})
    assert "notes.txt" in pane.root.locator(".chosen").inner_text()
    visited.shot(f"{platform}-file-chosen")
    pane.say("what is the secret?")
    pane.hears("the secret is 4711")
    assert pane.root.locator(".chosen").is_hidden()
    assert "notes.txt" in pane.root.locator(".own .file, .message:not(.bot) .file").last.inner_text()
    pane.attach({"name": "broken.zip", "mimeType": "application/zip", "buffer": b"PK\x00"})
    pane.say("and that?")
    pane.hears("broken.zip is of a kind that I can't read")


def test_each_provider_answers_on_both_platforms(visited: Visit) -> None:
    for platform in PLATFORMS:
        pane = visited.pane(platform)
        pane.say("/reset")  # ModelsLab is told the whole conversation, and the scripted voice says it back
        pane.hears("Started afresh")
    for name, (title, model) in PROVIDERS.items():
        for platform in PLATFORMS:
            pane = visited.pane(platform)
            pane.say(f"/provider {name}")
            pane.hears(f"{title} answers from now on, with the model {model}")
            pane.say(f"Are you {name} on {platform}?")
            answer = pane.hears(f"Are you {name} on {platform}?")
            assert answer.locator(".body").inner_text().startswith(f"{model} heard: ")
        visited.shot(f"answered-by-{name}")


@pytest.mark.parametrize("platform", PLATFORMS)
def test_provider_is_chosen_by_pressing_a_button(visited: Visit, platform: str) -> None:
    pane = visited.pane(platform)
    pane.say("/provider")
    picker = pane.hears("Choose another")
    visited.shot(f"{platform}-provider-picker")
    assert picker.get_by_role("button").filter(has_text="✓").count() == 1
    picker.get_by_role("button", name="Segmind").click()
    pane.hears("Segmind answers from now on")
    visited.shot(f"{platform}-provider-pressed")


@pytest.mark.parametrize("platform", PLATFORMS)
def test_controls_under_an_answer_stop_it_continue_it_and_ask_again(visited: Visit, platform: str) -> None:
    pane = visited.pane(platform)
    pane.say("/provider netmind")
    pane.hears("answers from now on")
    pane.say(LONG)
    growing = pane.hears("word5")
    assert growing.get_by_role("button").filter(has_not_text="Reply").all_inner_texts() == ["Stop"]
    visited.shot(f"{platform}-stop-offered")
    growing.get_by_role("button", name="Stop").click()
    stopped = pane.hears("Stopped")
    assert stopped.get_by_role("button").filter(has_not_text="Reply").all_inner_texts() == ["Continue", "Retry", "Other model…"]
    visited.shot(f"{platform}-stopped")
    visited.page.wait_for_timeout(2000 * SLIP_SECONDS)  # a press right behind Stop is taken for one more of it
    stopped.get_by_role("button", name="Continue").click()
    pane.hears("heard: Continue your answer").get_by_role("button", name="Retry").wait_for()
    stopped.get_by_role("button", name="Other model…").click()
    pane.hears("Choose another below")
    visited.shot(f"{platform}-continued")


def test_commands_and_models_are_suggested_and_taken_by_keyboard(visited: Visit) -> None:
    pane = visited.pane("discord")
    pane.say("/provider netmind")
    pane.hears("answers from now on")
    pane.input.focus()
    pane.input.press_sequentially("/mod")
    assert pane.suggestions() == ["/model", "/models"]
    pane.input.press("Enter")
    assert pane.input.input_value() == "/model "
    models = pane.suggestions(lambda labels: len(labels) > 2)
    pane.input.press_sequentially("deepseek")
    narrowed = pane.suggestions(lambda labels: 0 < len(labels) < len(models))
    visited.shot("discord-model-autocompletion")
    assert all("deepseek" in label.lower() for label in narrowed)
    pane.input.press("ArrowDown")
    with visited.page.expect_response("**/*"):  # the same list once more, late, leaves the choice as it is
        pane.input.dispatch_event("input")
    visited.page.wait_for_timeout(100)
    assert pane.root.locator(".menu [aria-selected=true] b").all_inner_texts() == narrowed[:1]
    pane.input.press("Enter")
    assert pane.input.input_value() == f"/model {narrowed[0]}"
    pane.input.press("Enter")
    pane.hears(f"answers with {narrowed[0]} from now on")


def test_what_could_not_be_sent_is_said_and_kept(visited: Visit) -> None:
    pane = visited.pane("discord")
    pane.say("/ask")
    toast = pane.root.get_by_role("alert")
    toast.wait_for()
    assert "/ask needs its question" in toast.inner_text()
    assert pane.input.input_value() == "/ask"


def test_help_is_seen_by_the_asker_alone_on_discord(visited: Visit) -> None:
    pane = visited.pane("discord")
    pane.say("/help")
    assert "Only you can see this." in pane.hears("/reset").inner_text()


def test_reply_asks_the_bot_without_a_mention(visited: Visit) -> None:
    for platform, group in (("discord", "general"), ("telegram", "Sandbox group")):
        pane = visited.pane(platform)
        pane.open_tab(group)
        pane.say("first question")
        answer = pane.hears("first question")
        pane.root.locator(".mention input").uncheck()
        answer.hover()
        answer.get_by_role("button", name="Reply").click()
        pane.say("second question")
        pane.hears("second question")
    visited.shot("replies")


def test_unread_chat_is_marked_until_it_is_opened(visited: Visit) -> None:
    pane = visited.pane("telegram")
    pane.say(LONG)
    pane.open_tab("Sandbox group")
    private = pane.root.get_by_role("tab", name="Private chat")
    pane.root.locator("[role=tab].unread").wait_for()
    private.click()
    pane.hears("word99")
    assert pane.root.locator("[role=tab].unread").count() == 0


def test_nothing_the_model_says_acts_in_the_page(visited: Visit) -> None:
    for platform in PLATFORMS:
        pane = visited.pane(platform)
        pane.say(HOSTILE)
        pane.hears("<img src=x onerror=")
        assert pane.root.locator(".body").locator("img, script, iframe, [onerror], a:not([href^='http'])").count() == 0
    visited.shot("hostile-markup")
    assert visited.page.title() == "Dragoman · sandbox"


def test_phone_shows_one_client_at_a_time_and_marks_the_other(visited: Visit) -> None:
    visited.page.set_viewport_size({"width": 390, "height": 780})
    discord, telegram = visited.pane("discord"), visited.pane("telegram")
    assert not telegram.root.is_visible()
    discord.say(LONG)
    visited.page.locator(".switch").get_by_role("button", name="Telegram").click()
    telegram.say("hello")
    telegram.hears("hello")
    visited.shot("phone")
    visited.page.locator(".switch .unread").wait_for()
    assert visited.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_phone_gives_the_client_that_was_hidden_a_whole_line_to_write_in(visited: Visit) -> None:
    visited.page.set_viewport_size({"width": 390, "height": 780})
    visited.page.reload()
    visited.page.locator("#status.good").wait_for()
    discord, telegram = visited.pane("discord"), visited.pane("telegram")
    there = discord.input.bounding_box()
    visited.page.locator(".switch").get_by_role("button", name="Telegram").click()
    here = telegram.input.bounding_box()
    assert there is not None
    assert here is not None
    assert here["height"] == pytest.approx(there["height"], abs=2)


def test_a_draft_grows_and_its_stop_button_ends_it_as_a_message(browser: Visit, tmp_path: Path) -> None:
    with try_out(tmp_path, LOCAL_MODEL="off", TELEGRAM_DRAFTS="plain") as url:
        browser.open(url)
        pane = browser.pane("telegram")
        pane.say(LONG)
        draft = pane.root.locator(".draft")
        draft.get_by_text("word1 ").wait_for()
        browser.shot("telegram-draft")
        draft.get_by_role("button", name="Stop").click()
        pane.hears("Stopped.")
        assert draft.count() == 0
        assert "word99" not in pane.hears("word1 ").locator(".body").inner_text()
        browser.page.goto("about:blank")


def test_calls_from_elsewhere_are_refused(address: str) -> None:
    own = urlsplit(address).netloc
    body = json.dumps({"channel": "1", "text": "hello"})
    fine = {"Host": own, "Origin": address, "Content-Type": "application/json"}
    assert _post(own, body, fine) == 400  # it got as far as the unknown channel
    assert _post(own, body, fine | {"Origin": "http://evil.example"}) == 403
    assert _post(own, body, fine | {"Origin": "null"}) == 403
    assert _post(own, body, fine | {"Host": "evil.example"}) == 403
    assert _post(own, body, fine | {"Content-Type": "text/plain"}) == 415


def _post(host: str, body: str, headers: dict[str, str]) -> int:
    connection = http.client.HTTPConnection(host, timeout=PATIENCE_SECONDS)
    try:
        connection.request("POST", "/api/discord/say", body, headers)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.local_model
@pytest.mark.skipif(not local_available(), reason="the local model is not installed (dependency group `local`)")
def test_local_model_answers_on_both_platforms(browser: Visit, tmp_path: Path) -> None:
    with try_out(tmp_path) as url:
        browser.open(url)
        for platform in PLATFORMS:
            pane = browser.pane(platform)
            pane.say("Say hello in one short sentence.")
            answer = pane.hears(patience=MODEL_PATIENCE_MS)
            assert answer.locator(".body").inner_text().strip()
        browser.shot("local-model")
        browser.page.goto("about:blank")
