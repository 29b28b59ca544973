// One chat client: tabs, messages, composer with a command menu. What differs between the platforms is handed in.
import { element } from "./markup.js";

export async function call(action, body) {
  const response = await fetch(`/api/${action}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  const answer = await response.json().catch(() => ({ error: response.statusText }));
  if (!response.ok) throw new Error(answer.error ?? response.statusText);
  return answer.result;
}

export class Client {
  // kind: { brand, mentionText, own(message), view(message, client), send(client, text), suggest(client, text) -> [{label, hint, fill, run?}], mayMention(tab) }
  constructor(root, kind) {
    this.kind = kind;
    this.root = root;
    root.append(document.getElementById("client").content.cloneNode(true));
    this.part = (selector) => root.querySelector(selector);
    this.part(".brand").textContent = kind.brand;
    this.part(".mention span").textContent = kind.mentionText;
    this.input = this.part("textarea");
    this.input.setAttribute("aria-label", `Message on ${kind.brand}`);
    this.input.placeholder = "Message, or / for commands";
    this.tabs = new Map();
    this.messages = new Map();
    this.replyTo = null;
    this.suggestions = [];
    this.chosen = 0;
    this.part(".composer").addEventListener("submit", (event) => { event.preventDefault(); this.submit(); });
    this.input.addEventListener("keydown", (event) => this.key(event));
    this.input.addEventListener("input", () => this.suggest());
    this.part(".quote button").addEventListener("click", () => this.reply(null));
  }

  addTab(id, name) {
    if (this.tabs.has(id)) return;
    const button = element("button", { type: "button", textContent: name, role: "tab" });
    button.addEventListener("click", () => this.open(id));
    this.tabs.set(id, button);
    this.messages.set(id, new Map());
    this.part(".tabs").append(button);
    if (this.tabs.size === 1) this.open(id);
  }

  open(id) {
    this.tab = id;
    this.tabs.forEach((button, other) => button.setAttribute("aria-selected", String(other === id)));
    this.part(".messages").replaceChildren(...[...this.messages.get(id).values()].map((entry) => entry.node));
    this.part(".mention").hidden = !this.kind.mayMention(id);
    this.reply(null);
    this.typing(false);
    this.scroll(true);
  }

  put(tab, message) {
    if (!this.messages.has(tab)) return;
    const entries = this.messages.get(tab);
    const key = this.kind.key(message);
    const before = entries.get(key);
    const node = this.kind.view(message, this);
    entries.set(key, { message, node });
    if (tab !== this.tab) return;
    const near = this.near();
    if (before) before.node.replaceWith(node); else this.part(".messages").append(node);
    if (!this.kind.own(message)) this.typing(false);
    this.scroll(near || this.kind.own(message));
  }

  remove(tab, key) {
    const entry = this.messages.get(tab)?.get(key);
    entry?.node.remove();
    this.messages.get(tab)?.delete(key);
  }

  near() {
    const list = this.part(".messages");
    return list.scrollHeight - list.scrollTop - list.clientHeight < 80;
  }

  scroll(wanted) {
    const list = this.part(".messages");
    if (wanted) list.scrollTop = list.scrollHeight;
  }

  typing(on, words = "dragoman is typing …") {
    clearTimeout(this.typingTimer);
    this.part(".typing").textContent = on ? words : "";
    if (on) this.typingTimer = setTimeout(() => this.typing(false), on * 1000);
  }

  toast(words) {
    const box = this.part(".toast");
    box.textContent = words;
    box.hidden = false;
    clearTimeout(this.toastTimer);
    this.toastTimer = setTimeout(() => { box.hidden = true; }, 6000);
  }

  reply(message) {
    this.replyTo = message;
    this.part(".quote").hidden = !message;
    this.part(".quote span").textContent = message ? `Replying to: ${this.kind.plain(message)}` : "";
    if (message) this.input.focus();
  }

  get mention() { return this.kind.mayMention(this.tab) && this.part(".mention input").checked; }

  async submit() {
    const text = this.input.value.trim();
    if (!text) return;
    this.input.value = "";
    this.show([]);
    try {
      await this.kind.send(this, text);
    } catch (error) {
      this.toast(error.message);
      this.input.value ||= text;
    }
    this.reply(null);
  }

  async suggest() {
    const asked = this.input.value;
    const found = asked.startsWith("/") ? await this.kind.suggest(this, asked) : [];
    if (asked === this.input.value) this.show(found);
  }

  show(suggestions) {
    this.suggestions = suggestions;
    this.chosen = 0;
    const menu = this.part(".menu");
    menu.hidden = !suggestions.length;
    menu.replaceChildren(...suggestions.map((item, index) => {
      const row = element("li", { role: "option" }, element("b", { textContent: item.label }), element("span", { textContent: item.hint }));
      row.setAttribute("aria-selected", String(index === 0));
      row.addEventListener("mousedown", (event) => { event.preventDefault(); this.take(index); });
      return row;
    }));
  }

  take(index) {
    this.input.value = this.suggestions[index].fill;
    this.input.focus();
    this.suggest();
  }

  key(event) {
    const open = this.suggestions.length > 0;
    if (open && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      this.chosen = (this.chosen + (event.key === "ArrowDown" ? 1 : -1) + this.suggestions.length) % this.suggestions.length;
      [...this.part(".menu").children].forEach((row, index) => row.setAttribute("aria-selected", String(index === this.chosen)));
      this.part(".menu").children[this.chosen].scrollIntoView({ block: "nearest" });
    } else if (open && event.key === "Tab") {
      event.preventDefault();
      this.take(this.chosen);
    } else if (open && event.key === "Escape") {
      this.show([]);
    } else if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.submit();
    }
  }
}

export function buttonRows(rows, press) {
  if (!rows.length) return null;
  return element("div", { className: "rows" }, ...rows.map((row) => element("div", {}, ...row.map((button) => {
    const node = element("button", { type: "button", className: button.style ?? "", textContent: button.label });
    node.addEventListener("click", () => press(button.data));
    return node;
  }))));
}

export function clock(stamp) {
  return new Date(stamp).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}
