// The Discord client: channels, mentions, replies, slash commands with autocompletion, buttons, answers that one person alone sees.
import { buttonRows, call, Client, clock } from "./client.js";
import { discordText, element } from "./markup.js";

const PRIVATE = 64;
const LOADING = 128;
const STYLES = { 1: "primary", 4: "danger" };

export class Discord {
  constructor(root, state) {
    this.state = state;
    this.users = new Map(state.users.map((user) => [user.id, user.username]));
    this.client = new Client(root, {
      brand: "Discord",
      mentionText: `mention @${this.users.get(state.bot) ?? "dragoman"}`,
      key: (message) => message.id,
      own: (message) => message.author.id === state.user,
      plain: (message) => message.content.slice(0, 90),
      mayMention: (tab) => this.channel(tab).type !== 1,
      view: (message) => this.view(message),
      send: (client, text) => this.send(client, text),
      suggest: (client, text) => this.suggest(client, text),
    });
    state.channels.forEach((channel) => this.addChannel(channel));
    Object.entries(state.messages).forEach(([channel, messages]) => messages.forEach((message) => this.client.put(channel, message)));
  }

  channel(id) { return this.state.channels.find((channel) => channel.id === id) ?? { type: 0 }; }

  addChannel(channel) {
    if (!this.state.channels.includes(channel)) this.state.channels.push(channel);
    this.client.addTab(channel.id, channel.type === 1 ? "Direct message" : `#${channel.name}`);
  }

  change(change) {
    const client = this.client;
    if (change.type === "message_create" || change.type === "message_update") {
      if (change.viewer && change.viewer !== this.state.user) return;
      this.users.set(change.message.author.id, change.message.author.username);
      client.put(change.channel_id, change.message);
    } else if (change.type === "message_delete") {
      client.remove(change.channel_id, change.message_id);
    } else if (change.type === "typing" && change.channel_id === client.tab && change.user_id === this.state.bot) {
      client.typing(10);
    } else if (change.type === "channel_create") {
      this.addChannel(change.channel);
    }
  }

  view(message) {
    const bot = message.author.id === this.state.bot;
    const secret = Boolean(message.flags & PRIVATE);
    const name = message.author.global_name ?? message.author.username;
    const who = element("div", { className: "who" }, name, bot ? element("span", { className: "tag" }, "APP") : null);
    who.append(element("span", { className: "meta" }, clock(message.timestamp) + (message.edited_timestamp ? " (edited)" : "")));
    const reply = element("button", { type: "button", className: "reply", textContent: "Reply" });
    reply.addEventListener("click", () => this.client.reply(message));
    const body = message.flags & LOADING && !message.content
      ? element("div", { className: "note" }, `${name} is thinking …`)
      : element("div", { className: "body" }, ...discordText(message.content, this.users));
    const rows = (message.components ?? []).map((row) => row.components.map((button) => ({
      label: button.label, data: button.custom_id, style: STYLES[button.style],
    })));
    const node = element("li", { className: `message${bot ? "" : " own"}${secret ? " private" : ""}` }, reply, this.quote(message), who, body,
      buttonRows(rows, (data) => this.press(message, data)), secret ? element("div", { className: "note" }, "Only you can see this.") : null);
    node.dataset.id = message.id;
    return node;
  }

  quote(message) {
    const about = message.interaction ?? message.interaction_metadata;
    if (message.referenced_message) return element("div", { className: "replied" }, `↱ ${message.referenced_message.content.slice(0, 120)}`);
    return about?.name ? element("div", { className: "replied" }, `↱ used /${about.name}`) : null;
  }

  async press(message, data) {
    try {
      await call("discord/press", { channel: message.channel_id, message: message.id, custom_id: data });
    } catch (error) {
      this.client.toast(error.message);
    }
  }

  async send(client, text) {
    const command = this.state.commands.find((item) => text === `/${item.name}` || text.startsWith(`/${item.name} `));
    if (command) {
      await call("discord/slash", { channel: client.tab, command: command.name, options: bind(command, text) });
    } else {
      await call("discord/say", { channel: client.tab, text, mention: client.mention, reply_to: client.replyTo?.id });
    }
  }

  async suggest(client, text) {
    const command = this.state.commands.find((item) => text.startsWith(`/${item.name} `));
    if (!command) {
      return this.state.commands.filter((item) => item.name.startsWith(text.slice(1).split(" ")[0]))
        .map((item) => ({ label: `/${item.name}`, hint: item.description, fill: `/${item.name} ` }));
    }
    const options = command.options ?? [];
    const words = text.slice(command.name.length + 2).split(" ");
    const place = Math.min(words.length, options.length) - 1;
    const option = options[place];
    if (!option) return [];
    const typed = words.slice(place).join(" ");
    if (!option.autocomplete) return typed ? [] : [{ label: option.name, hint: option.description, fill: text }];
    const head = `/${command.name} ${words.slice(0, place).map((word) => `${word} `).join("")}`;
    const choices = await call("discord/complete", { channel: client.tab, command: command.name, option: option.name, value: typed }).catch(() => []);
    const done = choices.length === 1 && choices[0].value === typed;
    return done ? [] : choices.map((choice) => ({ label: choice.name, hint: option.name, fill: `${head}${choice.value}${place < options.length - 1 ? " " : ""}` }));
  }
}

function bind(command, text) {
  let rest = text.slice(command.name.length + 2).trim();
  const options = command.options ?? [];
  const values = {};
  options.forEach((option, place) => {
    if (!rest) return;
    const [word] = rest.split(/\s+/, 1);
    values[option.name] = place < options.length - 1 ? word : rest;
    rest = rest.slice(word.length).trim();
  });
  return values;
}
