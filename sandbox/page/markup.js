// Formatted text as DOM nodes. Everything foreign becomes a text node: nothing of it can act.

export function element(name, properties = {}, ...children) {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

function link(url, ...children) {
  const safe = /^https?:\/\//i.test(url);
  return safe ? element("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, ...children) : element("span", {}, ...children);
}

function codeBlock(text, language) {
  const node = element("pre", { tabIndex: 0 }, element("code", {}, text));
  if (language) node.dataset.language = language;
  return node;
}

// Telegram: plain text with ranges in UTF-16 units, which are JavaScript's own.
const BLOCKS = new Set(["pre", "blockquote", "expandable_blockquote"]);
const TELEGRAM_TAGS = { bold: "b", italic: "i", underline: "u", strikethrough: "s", code: "code", blockquote: "blockquote" };

export function telegramText(text, entities = []) {
  const sorted = [...entities].sort((a, b) => a.offset - b.offset || b.length - a.length);
  return build(text, 0, text.length, sorted);
}

function build(text, start, end, entities) {
  const nodes = [];
  let at = start;
  for (let index = 0; index < entities.length; index += 1) {
    const entity = entities[index];
    if (entity.offset < at || entity.offset >= end) continue;
    if (entity.offset > at) nodes.push(text.slice(at, entity.offset));
    const stop = Math.min(entity.offset + entity.length, end);
    const inner = build(text, entity.offset, stop, entities.slice(index + 1).filter((other) => other.offset < stop));
    nodes.push(dress(entity, inner, text.slice(entity.offset, stop)));
    at = stop;
    if (BLOCKS.has(entity.type) && text[at] === "\n") at += 1; // a block ends its line by itself
  }
  if (at < end) nodes.push(text.slice(at, end));
  return nodes;
}

function dress(entity, inner, plain) {
  if (entity.type === "pre") return codeBlock(plain, entity.language);
  if (entity.type === "text_link") return link(entity.url, ...inner);
  if (entity.type === "url") return link(plain, ...inner);
  if (entity.type === "spoiler") return element("span", { className: "spoiler" }, ...inner);
  if (["mention", "text_mention", "bot_command"].includes(entity.type)) return element("span", { className: "pinged" }, ...inner);
  const tag = TELEGRAM_TAGS[entity.type] ?? (entity.type === "expandable_blockquote" ? "blockquote" : "span");
  return element(tag, {}, ...inner);
}

// Discord: its own Markdown, as its client shows it.
export function discordText(source, users) {
  const nodes = [];
  const fence = /```(?:([\w+#.-]*)\n)?([\s\S]*?)```/g;
  let at = 0;
  for (const match of source.matchAll(fence)) {
    nodes.push(...blocks(source.slice(at, match.index), users));
    nodes.push(codeBlock(match[2].replace(/\n$/, ""), match[1]));
    at = match.index + match[0].length;
    if (source[at] === "\n") at += 1;
  }
  return [...nodes, ...blocks(source.slice(at), users)];
}

function blocks(source, users) {
  const nodes = [];
  let quoted = [];
  const flush = () => {
    if (quoted.length) nodes.push(element("blockquote", {}, ...inline(quoted.join("\n"), users)));
    quoted = [];
  };
  const lines = source.split("\n");
  lines.forEach((line, index) => {
    const quote = /^> ?(.*)$/.exec(line);
    if (quote) { quoted.push(quote[1]); return; }
    flush();
    const heading = /^(#{1,3}) (.+)$/.exec(line);
    const small = /^-# (.+)$/.exec(line);
    if (heading) { nodes.push(element(`h${heading[1].length}`, {}, ...inline(heading[2], users))); return; }
    if (small) { nodes.push(element("div", { className: "note" }, ...inline(small[1], users))); return; }
    const item = /^( *)(?:[-*]|(\d+\.)) (.*)$/.exec(line);
    if (item) { nodes.push(listItem(item, users)); return; }
    nodes.push(...inline(line, users));
    if (index < lines.length - 1) nodes.push("\n");
  });
  flush();
  return nodes;
}

function listItem([, indent, number, text], users) {
  const depth = Math.min(Math.floor(indent.length / 2), 5);
  return element("div", { className: `item deep${depth}` }, element("span", { className: "sign" }, `${number ?? "•"} `), ...inline(text, users));
}

const INLINE = [
  [/^\\([^\w\s])/, (match) => match[1]],
  [/^``(.+?)``(?!`)|^`([^`]+)`/s, (match) => element("code", {}, match[1] ?? match[2])],
  [/^\*\*\*([\s\S]+?)\*\*\*/, (match, users) => element("b", {}, element("i", {}, ...inline(match[1], users)))],
  [/^\*\*([\s\S]+?)\*\*(?!\*)/, (match, users) => element("b", {}, ...inline(match[1], users))],
  [/^__([\s\S]+?)__(?!_)/, (match, users) => element("u", {}, ...inline(match[1], users))],
  [/^~~([\s\S]+?)~~/, (match, users) => element("s", {}, ...inline(match[1], users))],
  [/^\|\|([\s\S]+?)\|\|/, (match, users) => element("span", { className: "spoiler" }, ...inline(match[1], users))],
  [/^\*(?!\s)([\s\S]+?)(?<!\s)\*(?!\*)/, (match, users) => element("i", {}, ...inline(match[1], users))],
  [/^_(?!\s)([\s\S]+?)_(?!\w)/, (match, users) => element("i", {}, ...inline(match[1], users))],
  [/^\[([^\]]+)\]\(<?(https?:\/\/[^\s)>]+)>?\)/, (match, users) => link(match[2], ...inline(match[1], users))],
  [/^<(https?:\/\/[^\s>]+)>|^(https?:\/\/[^\s<]+)/, (match) => link(match[1] ?? match[2], match[1] ?? match[2])],
  [/^<@!?(\d+)>/, (match, users) => element("span", { className: "pinged" }, `@${users.get(match[1]) ?? "unknown"}`)],
];

function inline(source, users) {
  const nodes = [];
  let plain = "";
  for (let at = 0; at < source.length;) {
    const rest = source.slice(at);
    const found = INLINE.map(([pattern, make]) => [pattern.exec(rest), make]).find(([match]) => match);
    const inWord = /^[_*]/.test(rest) && rest[0] === "_" && /\w/.test(source[at - 1] ?? "");
    if (found && !inWord) {
      if (plain) nodes.push(plain);
      plain = "";
      nodes.push(found[1](found[0], users));
      at += found[0][0].length;
    } else {
      plain += source[at];
      at += 1;
    }
  }
  if (plain) nodes.push(plain);
  return nodes;
}
