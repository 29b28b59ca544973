// The Telegram client: a private chat and a group, entities, keyboards, answers to button presses.
import { buttonRows, call, Client, clock } from "./client.js";
import { element, telegramText } from "./markup.js";

export class Telegram {
  constructor(root, state) {
    this.state = state;
    this.client = new Client(root, {
      brand: "Telegram",
      mentionText: `mention @${state.username}`,
      key: (message) => message.message_id,
      own: (message) => message.from?.id === state.user,
      plain: (message) => (message.text ?? "").slice(0, 90),
      mayMention: (tab) => tab < 0,
      view: (message) => this.view(message),
      send: (client, text) => this.send(client, text),
      suggest: async (client, text) => this.suggest(text),
    });
    state.chats.forEach((chat) => this.client.addTab(chat.id, chat.name));
    Object.entries(state.messages).forEach(([chat, messages]) => messages.forEach((message) => this.client.put(Number(chat), message)));
  }

  change(change) {
    const client = this.client;
    if (change.type === "message" || change.type === "edited_message") {
      client.put(change.chat_id, change.message);
    } else if (change.type === "deleted") {
      client.remove(change.chat_id, change.message_id);
    } else if (change.type === "chat_action" && change.chat_id === client.tab) {
      client.typing(5, "dragoman is typing …");
    } else if (change.type === "commands") {
      this.state.commands = change.commands;
    }
  }

  view(message) {
    const own = message.from?.id === this.state.user;
    const who = element("div", { className: "who" }, own ? "" : message.from?.first_name ?? "");
    who.append(element("span", { className: "meta" }, clock(message.date * 1000) + (message.edit_date ? " edited" : "")));
    const reply = element("button", { type: "button", className: "reply", textContent: "Reply" });
    reply.addEventListener("click", () => this.client.reply(message));
    const quoted = message.reply_to_message ? element("div", { className: "replied" }, message.reply_to_message.text ?? "…") : null;
    const rows = (message.reply_markup?.inline_keyboard ?? []).map((row) => row.map((button) => ({
      label: button.text, data: button.callback_data, style: button.style,
    })));
    const body = element("div", { className: "body" }, ...telegramText(message.text ?? message.caption ?? "", message.entities ?? []));
    const node = element("li", { className: `message${own ? " own" : ""}` }, reply, who, quoted, body, buttonRows(rows, (data) => this.press(message, data)));
    node.dataset.id = message.message_id;
    return node;
  }

  async press(message, data) {
    try {
      const answer = await call("telegram/press", { chat: message.chat.id, message: message.message_id, data });
      if (answer?.text) this.client.toast(answer.text);
    } catch (error) {
      this.client.toast(error.message);
    }
  }

  async send(client, text) {
    await call("telegram/say", { chat: client.tab, text, mention: client.mention && !text.startsWith("/"), reply_to: client.replyTo?.message_id });
  }

  suggest(text) {
    if (/\s/.test(text)) return [];
    return this.state.commands.filter((item) => item.command.startsWith(text.slice(1)))
      .map((item) => ({ label: `/${item.command}`, hint: item.description, fill: `/${item.command} ` }));
  }
}
