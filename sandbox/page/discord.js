// The Discord client: channels, mentions, replies, slash commands with autocompletion, buttons, answers that one person alone sees.
import { actions, buttonRows, call, Client, clock, packed, reactions } from "./client.js";
import { discordText, element } from "./markup.js";

const PRIVATE_CHANNEL = 1;
const THREAD = 11;
const PRIVATE = 64;
const LOADING = 128;
const LONGEST = 2000; // code points, as Discord's own client allows without a subscription
const STYLES = { 1: "primary", 3: "success", 4: "danger" };

export class Discord {
  constructor(root, state) {
    this.state = state;
    this.users = new Map(state.users.map((user) => [user.id, user.global_name ?? user.username]));
    this.bot = this.users.get(state.bot);
    this.client = new Client(root, {
      brand: "Discord",
      mentionText: `mention @${this.bot}`,
      starters: ["Hello! What can you do?", "/provider", "/model", "/help"],
      welcome: (tab) => (this.private(tab) ? `Just you and @${this.bot}. Say hello.` : `Say hello. In channels ${this.bot} answers whoever mentions it or replies to it.`),
      key: (message) => message.id,
      own: (message) => message.author.id === state.user,
      plain: (message) => message.content.slice(0, 90),
      answersBot: (message) => message.author.id === state.bot,
      mayMention: (tab) => !this.private(tab),
      view: (message) => this.view(message),
      send: (client, text, files) => this.send(client, text, files),
      suggest: (client, text) => this.suggest(client, text),
    });
    state.channels.forEach((channel) => this.addChannel(channel));
    Object.entries(state.messages).forEach(([channel, messages]) => messages.forEach((message) => this.client.put(channel, message)));
    this.client.started = true;
  }

  private(id) { return this.state.channels.find((channel) => channel.id === id)?.type === PRIVATE_CHANNEL; }

  addChannel(channel) {
    if (!this.state.channels.some((known) => known.id === channel.id)) this.state.channels.push(channel);
    this.client.addTab(channel.id, this.title(channel));
  }

  title(channel) {
    if (channel.type === PRIVATE_CHANNEL) return `@${this.bot}`;
    return channel.type === THREAD ? `Thread: ${channel.name}` : `# ${channel.name}`;
  }

  // Returns whether there is something new to read.
  change(change) {
    const client = this.client;
    if (change.viewer && change.viewer !== this.state.user) return false;
    if (change.type === "message_create" || change.type === "message_update") return client.put(change.channel_id, change.message);
    if (change.type === "message_delete") client.remove(change.channel_id, change.message_id);
    if (change.type === "reactions") client.react(change.channel_id, change.message_id, change.emojis);
    if (change.type === "channel_create") this.addChannel(change.channel);
    if (change.type === "user_create") this.users.set(change.user.id, change.user.global_name ?? change.user.username);
    if (change.type === "typing" && change.channel_id === client.tab && change.user_id === this.state.bot) client.typing(10, `${this.bot} is typing …`);
    return false;
  }

  view(message) {
    const bot = message.author.id === this.state.bot;
    const secret = Boolean(message.flags & PRIVATE);
    const name = this.users.get(message.author.id) ?? message.author.username;
    const time = Date.parse(message.timestamp);
    const head = this.head(message);
    const thinking = message.flags & LOADING && !message.content;
    const body = thinking ? element("div", { className: "note" }, `${name} is thinking …`) : element("div", { className: "body" }, ...discordText(message.content, this.users));
    for (const file of message.attachments ?? []) body.append(element("div", { className: "file" }, `📄 ${file.filename} (${file.size} bytes)`));
    if (message.edited_timestamp) body.append(element("small", { className: "edited" }, " (edited)"));
    const rows = (message.components ?? []).map((row) => row.components.map((button) => ({
      label: button.label ?? "", data: button.custom_id, style: STYLES[button.style], disabled: button.disabled || !button.custom_id,
    })));
    const acts = [["Reply", () => this.client.composer.reply(message)]];
    if (!bot) acts.push(["Delete", () => this.remove(message)]);
    const node = element("article", { className: `message${bot ? " bot" : " own"}${secret ? " private" : ""}` },
      head,
      element("span", { className: "avatar", ariaHidden: "true" }, name.slice(0, 1).toUpperCase()),
      element("div", { className: "who" }, element("b", {}, name), bot ? element("span", { className: "tag" }, "APP") : null, clock(time)),
      body,
      buttonRows(rows, (data) => this.press(message, data)),
      reactions(message.marks ?? message.reactions?.map((one) => one.emoji.name)),
      secret ? element("div", { className: "note" }, "Only you can see this.") : null,
      secret ? null : actions(acts));
    return { node, time, head: Boolean(head), author: message.author.id };
  }

  head(message) {
    const used = message.interaction;
    if (used?.name) return element("div", { className: "replied" }, element("b", {}, this.users.get(used.user.id) ?? used.user.username), element("span", {}, `used /${used.name}`));
    if (!message.message_reference) return null;
    const target = this.client.message(message.channel_id, message.message_reference.message_id);
    if (!target) return element("div", { className: "replied" }, "a message that is gone");
    return element("div", { className: "replied" },
      element("b", {}, `@${this.users.get(target.author.id) ?? target.author.username}`), element("span", {}, plainly(target.content, this.users)));
  }

  async press(message, data) {
    await this.client.attempt(() => call("discord/press", { channel: message.channel_id, message: message.id, custom_id: data }));
  }

  // The bot registers them in its own time, perhaps after the page was opened.
  async commands() {
    if (!this.state.commands.length) this.state.commands = await call("discord/commands", {});
    return this.state.commands;
  }

  async remove(message) {
    await this.client.attempt(() => call("discord/delete", { channel: message.channel_id, message: message.id }));
  }

  async send(client, text, files) {
    const { tab, composer: { mention, replyTo } } = client;
    const command = text.startsWith("/") && (await this.commands()).find((item) => text === `/${item.name}` || text.startsWith(`/${item.name} `));
    if (command) {
      const options = bind(command, text);
      const missing = (command.options ?? []).filter((option) => option.required && !options[option.name]).map((option) => option.name);
      if (missing.length) throw new Error(`/${command.name} needs its ${missing.join(", ")} behind it.`);
      await call("discord/slash", { channel: tab, command: command.name, options });
    } else {
      if ([...text].length > LONGEST) throw new Error(`Discord takes ${LONGEST} characters in a message; this has ${[...text].length}.`);
      await call("discord/say", { channel: tab, text, mention, reply_to: replyTo?.id, files: await packed(files) });
    }
  }

  async suggest(client, text) {
    const commands = await this.commands();
    const command = commands.find((item) => text.startsWith(`/${item.name} `));
    if (!command) {
      return commands.filter((item) => item.name.startsWith(text.slice(1)))
        .map((item, place) => ({ label: `/${item.name}`, hint: item.description, fill: `/${item.name} `, chosen: place === 0 }));
    }
    const options = command.options ?? [];
    const words = text.slice(command.name.length + 2).split(" ");
    const place = Math.min(words.length, options.length) - 1;
    const option = options[place];
    if (!option) return [];
    const typed = words.slice(place).join(" ");
    if (!option.autocomplete) return typed ? [] : [{ label: option.name, hint: option.description, fill: text }];
    const head = `/${command.name} ${words.slice(0, place).map((word) => `${word} `).join("")}`;
    const choices = await call("discord/complete", { channel: client.tab, command: command.name, option: option.name, value: typed, options: bind(command, head) }).catch(() => []);
    if (choices.length === 1 && choices[0].value === typed) return [];
    const more = place < options.length - 1 ? " " : "";
    return choices.map((choice) => ({ label: choice.name, hint: option.description, fill: `${head}${choice.value}${more}` }));
  }
}

// A mention in a quoted line is shown, other markup is not.
function plainly(source, users) {
  return source.slice(0, 160).replace(/<@!?(\d+)>/g, (_, id) => `@${users.get(id) ?? "unknown"}`);
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
