"""The stand-in for Discord, met by the real discord.py over sockets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import discord
import pytest
import yarl
from discord import app_commands

from sandbox.discord import DiscordSandbox, File
from tests.support.clock import PATIENCE_SECONDS


class Bot(discord.Client):
    """A small bot of the real library; what happens to it is put down in `seen`."""

    def __init__(self, intents: discord.Intents | None = None) -> None:
        chosen = intents or discord.Intents(guilds=True, guild_messages=True, dm_messages=True)
        super().__init__(intents=chosen, guild_ready_timeout=0.05, allowed_mentions=discord.AllowedMentions.none())
        self.tree = app_commands.CommandTree(self)
        self.seen: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self.presses: asyncio.Queue[discord.Interaction] = asyncio.Queue()

    async def next(self, kind: str) -> Any:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                found, value = await self.seen.get()
                if found == kind:
                    return value

    async def on_ready(self) -> None:
        self.seen.put_nowait(("ready", None))

    async def on_resumed(self) -> None:
        self.seen.put_nowait(("resumed", None))

    async def on_message(self, message: discord.Message) -> None:
        if message.author != self.user:
            self.seen.put_nowait(("message", message))

    async def on_raw_message_edit(self, event: discord.RawMessageUpdateEvent) -> None:
        self.seen.put_nowait(("edit", event))

    async def on_raw_message_delete(self, event: discord.RawMessageDeleteEvent) -> None:
        self.seen.put_nowait(("delete", event))

    async def on_thread_create(self, thread: discord.Thread) -> None:
        self.seen.put_nowait(("thread", thread))

    async def on_guild_channel_create(self, channel: discord.abc.GuildChannel) -> None:
        self.seen.put_nowait(("channel", channel))

    async def on_interaction(self, interaction: discord.Interaction) -> None:
        if interaction.type is discord.InteractionType.component:
            self.presses.put_nowait(interaction)


@pytest.fixture
async def sandbox(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DiscordSandbox]:
    async with DiscordSandbox() as server:
        monkeypatch.setattr(discord.http.Route, "BASE", server.api_url)
        monkeypatch.setattr(discord.gateway.DiscordWebSocket, "DEFAULT_GATEWAY", yarl.URL(server.gateway_url))
        yield server


@asynccontextmanager
async def logged_in(sandbox: DiscordSandbox, bot: Bot) -> AsyncIterator[Any]:
    running = asyncio.create_task(bot.start(sandbox.token))
    try:
        await sandbox.connected()
        await bot.next("ready")
        yield bot
    finally:
        await bot.close()
        await running


async def eventually(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not check():  # noqa: ASYNC110 - what is waited for shows only in the sandbox's state
            await asyncio.sleep(0.01)


def command(bot: Bot, name: str, answer: Any) -> Any:
    made: Any = app_commands.Command(name=name, description="something", callback=answer)
    bot.tree.add_command(made)
    return made


async def test_client_logs_in_and_knows_server_channel_and_itself(sandbox):
    async with logged_in(sandbox, Bot()) as bot:
        assert str(bot.user.id) == sandbox.bot_id
        assert str(bot.application_id) == sandbox.application_id
        guild = bot.get_guild(int(sandbox.guild_id))
        assert guild.name == "Sandbox"
        assert guild.get_channel(int(sandbox.channel_id)).name == "general"
        assert guild.me.guild_permissions.send_messages
        assert sandbox.gateway.identifies == 1


async def test_mention_reaches_the_client_and_its_reply_grows_by_edits(sandbox):
    async with logged_in(sandbox, Bot()) as bot:
        asked = await sandbox.say(sandbox.channel_id, sandbox.user_id, "what is 2+2?", mention=True)
        message = await bot.next("message")
        assert message.content == f"<@{sandbox.bot_id}> what is 2+2?"
        assert (message.author.name, str(message.id)) == ("ada", asked["id"])
        assert bot.user in message.mentions
        answer = await message.reply("4")
        await message.channel.get_partial_message(answer.id).edit(content="4, of course")
        last = sandbox.messages(sandbox.channel_id)[-1]
        assert last["content"] == "4, of course"
        assert last["message_reference"]["message_id"] == asked["id"]
        assert last["edited_timestamp"] is not None
        assert sandbox.pings == []


async def test_direct_message_reaches_the_client_with_its_text(sandbox):
    async with logged_in(sandbox, Bot()) as bot:
        dm = sandbox.open_dm(sandbox.user_id)
        await sandbox.say(dm, sandbox.user_id, "psst")
        message = await bot.next("message")
        assert (message.content, message.guild) == ("psst", None)
        await message.channel.send("yes?")
        assert sandbox.messages(dm)[-1]["content"] == "yes?"
        user = await bot.fetch_user(int(sandbox.user_id))
        await user.send("again")
        assert sandbox.messages(dm)[-1]["content"] == "again"


async def test_text_is_withheld_without_the_intent_unless_it_concerns_the_bot(sandbox):
    async with logged_in(sandbox, Bot()) as bot:
        await sandbox.say(sandbox.channel_id, sandbox.user_id, "not for the bot", attachments=[File("a.txt", "text/plain", b"a")])
        message = await bot.next("message")
        assert (message.content, message.attachments) == ("", [])
        assert [item.content async for item in message.channel.history()] == [""]
        own = await message.channel.send("mine")
        assert (await message.channel.fetch_message(own.id)).content == "mine"
        await sandbox.say(sandbox.channel_id, sandbox.user_id, "a reply", reply_to=str(own.id))
        reply = await bot.next("message")
        assert reply.content == "a reply"
        assert reply.reference.resolved.content == "mine"


async def test_granted_intent_gives_all_text(monkeypatch):
    async with DiscordSandbox(message_content=True) as sandbox:
        monkeypatch.setattr(discord.http.Route, "BASE", sandbox.api_url)
        monkeypatch.setattr(discord.gateway.DiscordWebSocket, "DEFAULT_GATEWAY", yarl.URL(sandbox.gateway_url))
        intents = discord.Intents(guilds=True, guild_messages=True, message_content=True)
        async with logged_in(sandbox, Bot(intents)) as bot:
            await sandbox.say(sandbox.channel_id, sandbox.user_id, "to whom it may concern")
            assert (await bot.next("message")).content == "to whom it may concern"


async def test_intent_that_was_not_granted_ends_the_start(sandbox):
    bot = Bot(discord.Intents(guilds=True, message_content=True))
    with pytest.raises(discord.PrivilegedIntentsRequired):
        await bot.start(sandbox.token)
    await bot.close()


async def test_wrong_token_ends_the_login(sandbox):
    bot = Bot()
    with pytest.raises(discord.LoginFailure):
        await bot.start("wrong")
    await bot.close()
    assert sandbox.guard.invalid_calls == 1


async def test_edits_deletions_threads_and_channels_are_told(sandbox):
    async with logged_in(sandbox, Bot()) as bot:
        said = await sandbox.say(sandbox.channel_id, sandbox.user_id, "helo", mention=True)
        await sandbox.edit(sandbox.channel_id, said["id"], f"<@{sandbox.bot_id}> hello")
        assert (await bot.next("edit")).data["content"] == f"<@{sandbox.bot_id}> hello"
        thread = await sandbox.start_thread(sandbox.channel_id, "more", message_id=said["id"])
        assert thread == said["id"]
        assert str((await bot.next("thread")).id) == thread
        await sandbox.say(thread, sandbox.user_id, "in here", mention=True)
        message = await bot.next("message")
        assert isinstance(message.channel, discord.Thread)
        await message.channel.send("indeed")
        assert [item["content"] for item in sandbox.messages(thread)][-1] == "indeed"
        await sandbox.delete(sandbox.channel_id, said["id"])
        assert str((await bot.next("delete")).message_id) == said["id"]
        channel = sandbox.add_channel(sandbox.guild_id, "side")
        assert str((await bot.next("channel")).id) == channel


async def test_slash_command_is_deferred_and_its_answer_edited(sandbox):
    bot = Bot()

    async def ask(interaction: discord.Interaction, text: str) -> None:
        await interaction.response.defer(thinking=True)
        await interaction.edit_original_response(content=f"you said {text}")
        await interaction.followup.send("and more")

    command(bot, "ask", ask)
    async with logged_in(sandbox, bot):
        await bot.tree.sync()
        assert [known["name"] for known in sandbox.commands] == ["ask"]
        with pytest.raises(ValueError, match="required options are missing"):
            await sandbox.slash(sandbox.channel_id, sandbox.user_id, "ask")
        with pytest.raises(LookupError, match="not registered"):
            await sandbox.slash(sandbox.channel_id, sandbox.user_id, "nothing")
        interaction = await sandbox.slash(sandbox.channel_id, sandbox.user_id, "ask", {"text": "hey"})
        await asyncio.wait_for(interaction.responded.wait(), PATIENCE_SECONDS)
        assert interaction.response["type"] == 5
        await eventually(lambda: len(sandbox.messages(sandbox.channel_id)) == 2)
        first, second = sandbox.messages(sandbox.channel_id)
        assert (first["id"], first["content"], first["flags"] & 128) == (interaction.original, "you said hey", 0)
        assert second["content"] == "and more"


async def test_ephemeral_answer_is_shown_to_its_person_alone(sandbox):
    bot = Bot()

    async def whisper(interaction: discord.Interaction) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        await interaction.edit_original_response(content="only you")

    command(bot, "whisper", whisper)
    other = sandbox.add_user("bob", guilds=[sandbox.guild_id])
    async with logged_in(sandbox, bot):
        await bot.tree.sync()
        interaction = await sandbox.slash(sandbox.channel_id, sandbox.user_id, "whisper")
        await eventually(lambda: any(item["content"] for item in sandbox.messages(sandbox.channel_id, viewer=sandbox.user_id)))
        assert interaction.ephemeral
        assert sandbox.messages(sandbox.channel_id, viewer=other) == []
        channel: Any = bot.get_channel(int(sandbox.channel_id))
        with pytest.raises(discord.NotFound) as refused:
            await channel.fetch_message(int(interaction.original))
        assert refused.value.code == 10008


async def test_autocomplete_makes_the_round_trip_and_is_bounded(sandbox):
    bot = Bot()

    async def model(interaction: discord.Interaction, name: str) -> None:
        await interaction.response.send_message(f"{name} it is")

    async def offer(interaction: discord.Interaction, current: str) -> list[app_commands.Choice[str]]:
        if current == "slow":
            await asyncio.sleep(30)
        return [app_commands.Choice(name=f"{current}-{size}", value=f"{current}-{size}") for size in ("big", "small")]

    command(bot, "model", model).autocomplete("name")(offer)
    async with logged_in(sandbox, bot):
        await bot.tree.sync()
        choices = await sandbox.complete(sandbox.channel_id, sandbox.user_id, "model", "name", "llama")
        assert [choice["value"] for choice in choices] == ["llama-big", "llama-small"]
        with pytest.raises(TimeoutError):
            await sandbox.complete(sandbox.channel_id, sandbox.user_id, "model", "name", "slow")


async def test_subcommands_are_nested_as_clients_nest_them(sandbox):
    bot = Bot()
    group = app_commands.Group(name="persona", description="personas")

    async def choose(interaction: discord.Interaction, name: str, often: int) -> None:
        await interaction.response.send_message(f"{name} x {often + 1}")

    group.add_command(app_commands.Command(name="set", description="choose one", callback=choose))
    bot.tree.add_command(group)
    async with logged_in(sandbox, bot):
        await bot.tree.sync()
        interaction = await sandbox.slash(sandbox.channel_id, sandbox.user_id, "persona set", {"name": "pirate", "often": "2"})
        await asyncio.wait_for(interaction.responded.wait(), PATIENCE_SECONDS)
        assert sandbox.messages(sandbox.channel_id)[-1]["content"] == "pirate x 3"


async def test_commands_work_in_private_and_in_threads_and_tell_roles(sandbox):
    bot = Bot()

    async def where(interaction: discord.Interaction) -> None:
        roles = [str(role.id) for role in interaction.user.roles] if isinstance(interaction.user, discord.Member) else []
        await interaction.response.send_message(f"{type(interaction.channel).__name__} {roles}")

    command(bot, "where", where)
    role = sandbox.add_role(sandbox.guild_id, "admins", 1 << 5)
    user = sandbox.add_user("bob", guilds=[sandbox.guild_id], roles=[role])
    async with logged_in(sandbox, bot):
        await bot.tree.sync()
        places = [sandbox.open_dm(user), await sandbox.start_thread(sandbox.channel_id, "side"), sandbox.channel_id]
        for place in places:
            await asyncio.wait_for((await sandbox.slash(place, user, "where")).responded.wait(), PATIENCE_SECONDS)
        told = [sandbox.messages(place)[-1]["content"] for place in places]
        assert told[0] == "DMChannel []"
        assert told[1].startswith("Thread")
        assert told[2].startswith("TextChannel")
        assert all(role in text for text in told[1:])


async def test_edited_reply_to_the_bot_keeps_its_text(sandbox):
    async with logged_in(sandbox, Bot()) as bot:
        own = await bot.get_channel(int(sandbox.channel_id)).send("ask me")
        reply = await sandbox.say(sandbox.channel_id, sandbox.user_id, "helo", reply_to=str(own.id))
        await sandbox.edit(sandbox.channel_id, reply["id"], "hello")
        assert (await bot.next("edit")).data["content"] == "hello"


async def test_channel_the_bot_cant_see_stays_silent(sandbox):
    async with logged_in(sandbox, Bot()) as bot:
        hidden = sandbox.add_channel(sandbox.guild_id, "hidden")
        sandbox.barred[hidden] = 50001
        await sandbox.say(hidden, sandbox.user_id, "secret", mention=True)
        await sandbox.say(sandbox.channel_id, sandbox.user_id, "open", mention=True)
        assert str((await bot.next("message")).channel.id) == sandbox.channel_id


async def test_pressed_button_reaches_the_client_and_updates_its_message(sandbox):
    async with logged_in(sandbox, Bot()) as bot:
        view = discord.ui.View(timeout=None)
        view.add_item(discord.ui.Button(label="Stop", custom_id="stop:1"))
        message = await bot.get_channel(int(sandbox.channel_id)).send("working", view=view)
        with pytest.raises(ValueError, match="no button"):
            await sandbox.press(sandbox.channel_id, str(message.id), "other", sandbox.user_id)
        interaction = await sandbox.press(sandbox.channel_id, str(message.id), "stop:1", sandbox.user_id)
        pressed: Any = await asyncio.wait_for(bot.presses.get(), PATIENCE_SECONDS)
        assert (pressed.data["custom_id"], pressed.user.name, pressed.message.id) == ("stop:1", "ada", message.id)
        await pressed.response.edit_message(content="stopped", view=None)
        assert interaction.response["type"] == 7
        shown = sandbox.messages(sandbox.channel_id)[-1]
        assert (shown["content"], shown["components"]) == ("stopped", [])


async def test_resume_after_a_close_replays_what_was_missed_in_order(sandbox):
    async with logged_in(sandbox, Bot()) as bot:
        await sandbox.close_gateway(4000)
        for number in range(3):
            await sandbox.say(sandbox.channel_id, sandbox.user_id, f"missed {number}", mention=True)
        texts = [(await bot.next("message")).content for _ in range(3)]
        assert sorted(texts) == [f"<@{sandbox.bot_id}> missed {number}" for number in range(3)]
        await bot.next("resumed")
        assert sandbox.gateway.identifies == 1


async def test_resumable_invalid_session_and_reconnect_lead_to_resume(sandbox):
    async with logged_in(sandbox, Bot()) as bot:
        await sandbox.reconnect()
        await bot.next("resumed")
        await sandbox.invalidate(True)
        await bot.next("resumed")
        assert sandbox.gateway.identifies == 1


async def test_invalid_session_leads_to_a_new_identify(sandbox):
    async with logged_in(sandbox, Bot()) as bot:
        await sandbox.invalidate(False)
        await bot.next("ready")
        assert sandbox.gateway.identifies == 2
        await sandbox.say(sandbox.channel_id, sandbox.user_id, "still there?", mention=True)
        assert "still there?" in (await bot.next("message")).content


async def test_restarted_client_identifies_anew_and_reads_what_it_missed_from_history(sandbox):
    async with logged_in(sandbox, Bot()):
        before = await sandbox.say(sandbox.channel_id, sandbox.user_id, "one", mention=True)
    await sandbox.say(sandbox.channel_id, sandbox.user_id, "two", mention=True)
    async with logged_in(sandbox, Bot()) as bot:
        after = discord.Object(int(before["id"]))
        missed = [item.content async for item in bot.get_channel(int(sandbox.channel_id)).history(after=after)]
        assert missed == [f"<@{sandbox.bot_id}> two"]
        assert sandbox.gateway.identifies == 2


async def test_clients_files_are_stored_and_peoples_files_can_be_fetched(sandbox):
    async with logged_in(sandbox, Bot()) as bot:
        await sandbox.say(sandbox.channel_id, sandbox.user_id, "see", mention=True, attachments=[File("a.txt", "text/plain", b"abc")])
        message = await bot.next("message")
        assert await message.attachments[0].read() == b"abc"
        await message.channel.send("mine", file=discord.File(fp=__file__, filename="t.py"))
        assert sandbox.messages(sandbox.channel_id)[-1]["attachments"][0]["filename"] == "t.py"


async def test_typing_is_shown_and_told_to_onlookers(sandbox):
    changes: list[dict[str, Any]] = []
    async with logged_in(sandbox, Bot()) as bot:
        sandbox.on_change.append(changes.append)
        await bot.get_channel(int(sandbox.channel_id)).typing()
        await sandbox.say(sandbox.channel_id, sandbox.user_id, "hm")
    assert [change["type"] for change in changes] == ["typing", "message_create"]
    assert changes[0]["user_id"] == sandbox.bot_id
