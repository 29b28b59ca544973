// One chat client: tabs and messages. What differs between the platforms is handed in.
import { Composer } from "./composer.js";
import { element } from "./markup.js";

const QUIET_MS = 4000; // a message that grows is announced to screen readers once it has been still for so long
const GROUP_MS = 5 * 60 * 1000; // one person's messages within so long stand under one name

export async function call(action, body) {
  const response = await fetch(`/api/${action}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) })
    .catch(() => { throw new Error("The sandbox can't be reached. Is it still running?"); });
  const answer = await response.json().catch(() => ({ error: response.statusText }));
  if (!response.ok) throw new Error(answer.error ?? response.statusText);
  return answer.result;
}

// Files as the sandbox takes them.
export const packed = (files) => Promise.all(files.map((file) => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.addEventListener("load", () => resolve({ name: file.name, type: file.type, data: reader.result.slice(reader.result.indexOf(",") + 1) }));
  reader.addEventListener("error", () => reject(new Error(`${file.name} can't be read.`)));
  reader.readAsDataURL(file);
})));

export class Client {
  // kind: { brand, mentionText, welcome(tab), starters: [text], key(message), own(message), plain(message), mayMention(tab),
  //   answersBot(message), view(message) -> { node, author, time, head? }, send(client, text, files), suggest(client, text) -> [{ label, hint, fill, chosen }] }
  constructor(root, kind) {
    this.kind = kind;
    this.root = root;
    root.append(document.getElementById("client").content.cloneNode(true));
    this.part = (selector) => root.querySelector(selector);
    this.part(".brand").textContent = kind.brand;
    this.list = this.part(".messages");
    this.list.setAttribute("aria-label", `Messages on ${kind.brand}`);
    this.panel = this.part(".panel");
    this.panel.id = `${root.id}-panel`;
    this.tabs = new Map();
    this.messages = new Map();
    this.composer = new Composer(this);
    this.part(".tabs").addEventListener("keydown", (event) => this.tabKey(event));
    this.part(".latest").addEventListener("click", () => this.scroll());
    this.list.addEventListener("scroll", () => { if (this.near()) this.part(".latest").hidden = true; });
    new ResizeObserver(() => { if (this.pinned) this.scroll(); }).observe(this.list);
    kind.starters.forEach((text) => {
      const chip = element("button", { type: "button", textContent: text });
      chip.addEventListener("click", () => this.composer.submit(text));
      this.part(".starters").append(chip);
    });
  }

  addTab(id, name) {
    if (this.tabs.has(id)) return;
    const button = element("button", { type: "button", textContent: name, role: "tab", id: `${this.root.id}-tab-${id}` });
    button.setAttribute("aria-controls", this.panel.id);
    button.addEventListener("click", () => this.open(id));
    this.tabs.set(id, button);
    this.messages.set(id, new Map());
    this.part(".tabs").append(button);
    if (this.tabs.size === 1) this.open(id); else button.setAttribute("aria-selected", "false");
    button.tabIndex = this.tab === id ? 0 : -1;
  }

  tabKey(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const ids = [...this.tabs.keys()];
    const next = ids[(ids.indexOf(this.tab) + step + ids.length) % ids.length];
    this.open(next);
    this.tabs.get(next).focus();
  }

  open(id) {
    this.composer.leave(this.tab);
    this.tab = id;
    this.tabs.forEach((button, other) => {
      button.setAttribute("aria-selected", String(other === id));
      button.tabIndex = other === id ? 0 : -1;
    });
    this.mark(id, false);
    this.panel.setAttribute("aria-labelledby", this.tabs.get(id).id);
    this.list.replaceChildren(...[...this.messages.get(id).values()].map((entry) => entry.node));
    this.composer.enter(id);
    this.typing(0);
    this.arrange();
    this.scroll();
  }

  mark(tab, unread) {
    this.tabs.get(tab).classList.toggle("unread", unread);
    this.tabs.get(tab).setAttribute("aria-description", unread ? "unread" : "");
  }

  // Shows a message that is new or has changed; returns whether it is news to the person.
  put(tab, message) {
    const entries = this.messages.get(tab);
    if (!entries) return false;
    const key = this.kind.key(message);
    const own = this.kind.own(message);
    const before = entries.get(key);
    const view = this.kind.view(message);
    view.node.dataset.id = key;
    entries.set(key, { message, ...view, busy: before?.busy });
    if (!own) this.quieten(entries.get(key));
    if (tab !== this.tab) {
      if (!own && this.started) this.mark(tab, true);
      return !own;
    }
    const near = this.near();
    if (before) replace(before.node, view.node); else this.list.append(view.node);
    if (!before && !own) this.typing(0);
    this.arrange();
    if (near || own) this.scroll(); else this.part(".latest").hidden = false;
    return !own;
  }

  quieten(entry) {
    clearTimeout(entry.busy);
    if (!this.started) return;
    entry.node.setAttribute("aria-busy", "true");
    entry.busy = setTimeout(() => entry.node.removeAttribute("aria-busy"), QUIET_MS);
  }

  remove(tab, key) {
    const entry = this.messages.get(tab)?.get(key);
    if (!entry) return;
    const stoodOn = entry.node.contains(document.activeElement);
    entry.node.remove();
    this.messages.get(tab).delete(key);
    if (stoodOn) this.list.focus({ preventScroll: true });
    if (tab !== this.tab) return;
    this.composer.forget(entry.message);
    this.arrange();
  }

  // Shows a message with these reactions from now on.
  react(tab, key, emojis) {
    const message = this.message(tab, key);
    if (message) this.put(tab, { ...message, marks: emojis });
  }

  message(tab, key) { return this.messages.get(tab)?.get(key)?.message; }

  // Puts one person's messages under one name, and the welcome where there are none.
  arrange() {
    let last = null;
    for (const entry of this.messages.get(this.tab).values()) {
      entry.node.classList.toggle("grouped", Boolean(last) && !entry.head && last.author === entry.author && entry.time - last.time < GROUP_MS);
      last = entry;
    }
    this.part(".empty").hidden = Boolean(last);
    this.part(".welcome").textContent = this.kind.welcome(this.tab);
  }

  near() { return this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 80; }

  get pinned() { return this.part(".latest").hidden; }

  scroll() {
    this.list.scrollTop = this.list.scrollHeight;
    this.part(".latest").hidden = true;
  }

  typing(seconds, words = "") {
    clearTimeout(this.typingTimer);
    this.part(".typing").replaceChildren(...(seconds ? [element("span", { className: "dots", ariaHidden: "true" }, element("i"), element("i"), element("i")), words] : []));
    if (seconds) this.typingTimer = setTimeout(() => this.typing(0), seconds * 1000);
  }

  toast(words, mood = "bad") {
    const box = this.part(".toast");
    box.textContent = words;
    box.className = `toast ${mood}`;
    box.hidden = false;
    clearTimeout(this.toastTimer);
    this.toastTimer = setTimeout(() => { box.hidden = true; }, 6000);
  }

  async attempt(work) {
    try {
      return await work();
    } catch (error) {
      this.toast(error.message);
      return undefined;
    }
  }
}

// A person who stands on a button of a message that changes goes on standing there.
function replace(before, node) {
  const place = [...before.querySelectorAll("button")].indexOf(document.activeElement);
  before.replaceWith(node);
  if (place >= 0) node.querySelectorAll("button")[place]?.focus();
}

// rows: [[{ label, data?, url?, style?, disabled? }]]; press: async (data) => …
export function buttonRows(rows, press) {
  if (!rows.length) return null;
  return element("div", { className: "rows" }, ...rows.map((row) => element("div", {}, ...row.map((button) => {
    const node = element("button", { type: "button", className: button.style ?? "", textContent: button.label, disabled: Boolean(button.disabled) });
    node.addEventListener("click", async () => {
      node.classList.add("pressed");
      await press(button.data);
      node.classList.remove("pressed");
    });
    return node;
  }))));
}

// What a person can do with a message: [[label, act]].
export function actions(acts) {
  return element("div", { className: "actions" }, ...acts.map(([label, act]) => {
    const node = element("button", { type: "button", textContent: label });
    node.addEventListener("click", act);
    return node;
  }));
}

// The bot's reactions to a message; null where there are none.
export function reactions(emojis) {
  return emojis?.length ? element("div", { className: "reactions", ariaLabel: "reactions" }, ...emojis.map((emoji) => element("span", {}, emoji))) : null;
}

export function clock(milliseconds) {
  const date = new Date(milliseconds);
  const words = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return element("time", { dateTime: date.toISOString(), title: date.toLocaleString(), textContent: words });
}
