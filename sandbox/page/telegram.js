// The Telegram client: a private chat, a group and a topic of a forum, entities, keyboards, answers to button presses.
import { actions, buttonRows, call, Client, clock, packed, reactions } from "./client.js";
import { element, telegramText } from "./markup.js";

const DRAFT_MS = 30 * 1000; // so long a draft shows

export class Telegram {
  constructor(root, state) {
    this.state = state;
    this.fading = new Map();
    this.places = new Map(state.chats.map((chat) => [placeOf(chat.id, chat.thread), chat]));
    this.client = new Client(root, {
      brand: "Telegram",
      mentionText: `mention @${state.username}`,
      starters: ["Hello! What can you do?", "/provider", "/model", "/help"],
      welcome: (tab) => (this.private(tab) ? `Just you and @${state.username}. Say hello.` : "Say hello. In groups the bot gets commands, and what mentions it or replies to it."),
      key: (message) => message.message_id,
      own: (message) => message.from?.id === state.user,
      plain: (message) => textOf(message).slice(0, 90),
      answersBot: (message) => message.from?.id === state.bot,
      mayMention: (tab) => !this.private(tab),
      view: (message) => this.view(message),
      send: (client, text, files) => this.send(client, text, files),
      suggest: async (_, text) => this.suggest(text),
    });
    this.places.forEach((chat, place) => this.client.addTab(place, chat.name));
    state.messages.forEach((message) => this.client.put(placeOf(message.chat.id, message.is_topic_message ? message.message_thread_id : null), message));
    this.client.started = true;
  }

  private(place) { return this.places.get(place).id > 0; }

  // Returns whether there is something new to read.
  change(change) {
    const client = this.client;
    const place = placeOf(change.chat_id, change.thread);
    if (change.type === "message" || change.type === "edited_message") return client.put(place, change.message);
    if (change.type === "draft") return this.draft(change);
    if (change.type === "draft_gone") this.fade(place, draftKey(change));
    if (change.type === "deleted") client.remove(place, change.message_id);
    if (change.type === "reactions") this.react(change);
    if (change.type === "commands" && change.scope === "default") this.state.commands = change.commands;
    if (change.type === "chat_action" && place === client.tab) client.typing(5, "Dragoman is typing …");
    return false;
  }

  // Reactions are told without the topic that their message is in.
  react(change) {
    this.places.forEach((chat, place) => { if (chat.id === change.chat_id) this.client.react(place, change.message_id, change.emojis); });
  }

  // A draft is shown as a message that is not there to stay: it fades, and the bot's next message takes its place.
  draft(change) {
    const key = draftKey(change);
    const place = placeOf(change.chat_id, change.thread);
    const bot = { id: this.state.bot, first_name: "Dragoman" };
    const message = { message_id: key, draft: change, from: bot, chat: { id: change.chat_id }, date: Date.now() / 1000, text: change.text || "Thinking …", entities: change.entities };
    clearTimeout(this.fading.get(key));
    this.fading.set(key, setTimeout(() => this.fade(place, key), DRAFT_MS));
    return this.client.put(place, message);
  }

  fade(place, key) {
    clearTimeout(this.fading.get(key));
    this.client.remove(place, key);
  }

  view(message) {
    const own = message.from?.id === this.state.user;
    const name = message.from?.first_name ?? "";
    const time = message.date * 1000;
    const quoted = message.reply_to_message;
    const head = quoted ? element("div", { className: "replied" }, element("b", {}, quoted.from?.first_name ?? ""), ` ${textOf(quoted).slice(0, 160)}`) : null;
    const rows = (message.reply_markup?.inline_keyboard ?? []).map((row) => row.map((button) => ({
      label: button.text, data: button.callback_data, style: button.style, disabled: !button.callback_data,
    })));
    if (message.draft?.can_stop) rows.push([{ label: "Stop", data: "stop", style: "danger" }]);
    const reply = message.draft ? null : actions([["Reply", () => this.client.composer.reply(message)]]);
    const body = element("div", { className: "body" }, ...telegramText(textOf(message), message.entities ?? message.caption_entities ?? []));
    const bubble = element("div", { className: "bubble" },
      own ? null : element("div", { className: "who" }, element("b", {}, name)),
      head,
      body,
      message.photo ? element("div", { className: "file" }, `🖼 photo (${message.photo[0].file_size} bytes)`) : null,
      message.document ? element("div", { className: "file" }, `📄 ${message.document.file_name} (${message.document.file_size} bytes)`) : null,
      element("div", { className: "meta" }, message.draft ? "draft " : message.edit_date ? "edited " : "", clock(time)));
    const node = element("article", { className: `message${own ? " own" : " bot"}${message.draft ? " draft" : ""}` }, bubble, buttonRows(rows, (data) => this.press(message, data)), reactions(message.marks), reply);
    return { node, time, author: message.from?.id };
  }

  async press(message, data) {
    if (message.draft) {
      await this.client.attempt(() => call("telegram/stop_draft", { chat: message.chat.id, thread: message.draft.thread }));
      return;
    }
    const answer = await this.client.attempt(() => call("telegram/press", { chat: message.chat.id, message: message.message_id, data }));
    if (answer?.text) this.client.toast(answer.text, "news");
  }

  async send(client, text, files) {
    const { mention, replyTo } = client.composer;
    const { id, thread } = this.places.get(client.tab);
    await call("telegram/say", { chat: id, thread, text, mention: mention && !text.startsWith("/"), reply_to: replyTo?.message_id, files: await packed(files) });
  }

  suggest(text) {
    if (/\s/.test(text)) return [];
    return this.state.commands.filter((item) => item.command.startsWith(text.slice(1)))
      .map((item, place) => ({ label: `/${item.command}`, hint: item.description, fill: `/${item.command} `, chosen: place === 0 }));
  }
}

// Names a tab: a chat, or a topic of one.
function placeOf(chat, thread) { return `${chat}${thread ? `-${thread}` : ""}`; }

function draftKey(change) { return `draft-${change.chat_id}-${change.thread ?? ""}`; }

function textOf(message) { return message.text ?? message.caption ?? ""; }
