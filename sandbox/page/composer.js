// Where one writes: the text, what it replies to, whom it mentions, and the menu of commands and choices.
import { element } from "./markup.js";

export class Composer {
  constructor(client) {
    this.client = client;
    this.kind = client.kind;
    this.form = client.part(".composer");
    this.input = client.part("textarea");
    this.menu = client.part(".menu");
    this.drafts = new Map();
    this.replyTo = null;
    this.found = [];
    this.chosen = -1;
    this.menu.id = `${client.root.id}-menu`;
    this.menu.setAttribute("aria-label", `Commands on ${this.kind.brand}`);
    this.input.setAttribute("aria-label", `Message on ${this.kind.brand}`);
    this.input.setAttribute("aria-controls", this.menu.id);
    this.input.placeholder = "Message, or / for commands";
    client.part(".mention span").textContent = this.kind.mentionText;
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.submit(this.input.value); });
    this.input.addEventListener("keydown", (event) => this.key(event));
    this.input.addEventListener("input", () => { this.fit(); this.suggest(); });
    this.input.addEventListener("focus", () => this.suggest());
    this.input.addEventListener("blur", () => this.show([]));
    this.picker = client.part(".attach input");
    this.picker.setAttribute("aria-label", `Attach files on ${this.kind.brand}`);
    this.picker.addEventListener("change", () => { this.showFiles(); this.input.focus(); });
    client.part(".chosen button").addEventListener("click", () => { this.dropFiles(); this.input.focus(); });
    client.part(".quote button").addEventListener("click", () => { this.reply(null); this.input.focus(); });
  }

  leave(tab) { if (tab !== undefined) this.drafts.set(tab, this.input.value); }

  enter(tab) {
    this.input.value = this.drafts.get(tab) ?? "";
    this.client.part(".mention").hidden = !this.kind.mayMention(tab);
    this.reply(null);
    this.dropFiles();
    this.show([]);
    this.fit();
  }

  fit() {
    this.input.style.height = "auto";
    const needed = this.input.scrollHeight;  // 0 while this client is the one that a narrow window hides
    if (needed) this.input.style.height = `${needed + 2}px`;
  }

  showFiles() {
    const names = [...this.picker.files].map((file) => file.name);
    this.client.part(".chosen").hidden = !names.length;
    this.client.part(".chosen span").textContent = `With ${names.join(", ")}`;
  }

  dropFiles() {
    this.picker.value = "";
    this.showFiles();
  }

  reply(message) {
    this.replyTo = message;
    this.client.part(".quote").hidden = !message;
    this.client.part(".quote span").textContent = message ? `Replying to: ${this.kind.plain(message)}` : "";
    if (message) this.input.focus();
  }

  // A message that is gone can't be replied to.
  forget(message) { if (this.replyTo && this.kind.key(this.replyTo) === this.kind.key(message)) this.reply(null); }

  // Whoever replies to the bot need not mention it as well.
  get mention() {
    const wanted = this.kind.mayMention(this.client.tab) && this.client.part(".mention input").checked;
    return wanted && !(this.replyTo && this.kind.answersBot(this.replyTo));
  }

  async submit(written) {
    const text = written.trim();
    const files = [...this.picker.files];
    if (!text && !files.length) return;
    const { tab } = this.client;
    const sent = this.kind.send(this.client, text, files);
    this.dropFiles();
    const reply = this.replyTo;
    this.input.value = "";
    this.reply(null);
    this.show([]);
    this.fit();
    this.form.setAttribute("aria-busy", "true");
    try {
      await sent;
    } catch (error) {
      this.client.toast(`Not sent. ${error.message}`);
      if (this.client.tab === tab && !this.input.value) this.restore(text, reply);
    }
    this.form.removeAttribute("aria-busy");
  }

  restore(text, reply) {
    this.input.value = text;
    this.fit();
    this.reply(reply);
  }

  async suggest() {
    const asked = this.input.value;
    const found = asked.startsWith("/") ? await this.kind.suggest(this.client, asked) : [];
    if (asked === this.input.value && document.activeElement === this.input) this.show(found);
  }

  // A list that comes late, for the same text, leaves what was chosen meanwhile as it is.
  show(found) {
    const kept = this.chosenFor === this.input.value ? this.found[this.chosen]?.fill : undefined;
    const place = kept === undefined ? -1 : found.findIndex((item) => item.fill === kept);
    this.found = found;
    this.menu.hidden = !found.length;
    this.menu.replaceChildren(...found.map((item, index) => {
      const row = element("li", { role: "option", id: `${this.menu.id}-${index}` }, element("b", { textContent: item.label }), element("span", { textContent: item.hint }));
      row.addEventListener("mousedown", (event) => { event.preventDefault(); this.take(index); });
      return row;
    }));
    this.choose(place >= 0 ? place : found.findIndex((item) => item.chosen));
  }

  choose(index) {
    this.chosen = index;
    [...this.menu.children].forEach((row, place) => row.setAttribute("aria-selected", String(place === index)));
    this.menu.children[index]?.scrollIntoView({ block: "nearest" });
    if (index >= 0) this.input.setAttribute("aria-activedescendant", `${this.menu.id}-${index}`);
    else this.input.removeAttribute("aria-activedescendant");
  }

  take(index) {
    this.input.value = this.found[index].fill;
    this.show([]);
    this.fit();
    this.input.focus();
    this.suggest();
  }

  key(event) {
    if (event.isComposing) return;
    const count = this.found.length;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (count && step) {
      event.preventDefault();
      this.chosenFor = this.input.value;
      this.choose(this.chosen < 0 && step < 0 ? count - 1 : (this.chosen + step + count) % count);
    } else if (count && event.key === "Tab" && !event.shiftKey) {
      event.preventDefault();
      this.take(Math.max(this.chosen, 0));
    } else if (event.key === "Escape" && (count || this.replyTo)) {
      event.preventDefault();
      if (count) this.show([]); else this.reply(null);
    } else if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      const item = this.found[this.chosen];
      if (item && item.fill.trim() !== this.input.value.trim()) this.take(this.chosen); else this.submit(this.input.value);
    }
  }
}
