// Loads the state, opens both clients, follows every change.
import { Discord } from "./discord.js";
import { Telegram } from "./telegram.js";

const status = document.getElementById("status");
const narrow = matchMedia("(max-width: 760px)");
const shown = document.querySelector("main").dataset;
const switches = [...document.querySelectorAll(".switch button")];

function say(words, mood) {
  status.textContent = words;
  status.className = mood;
}

// On a narrow window one client is shown at a time; on a wide one the switch is hidden and both are.
function show(name) {
  shown.shown = name;
  for (const button of switches) {
    button.setAttribute("aria-pressed", String(button.dataset.show === name));
    if (button.dataset.show === name) button.classList.remove("unread");
  }
}

function markUnread(name) {
  if (narrow.matches && shown.shown !== name) switches.find((button) => button.dataset.show === name).classList.add("unread");
}

async function start() {
  const clients = {};
  const early = [];
  const apply = ({ platform, change }) => { if (clients[platform].change(change)) markUnread(platform); };
  const events = new EventSource("/api/events");
  events.onmessage = ({ data }) => { if (clients.telegram) apply(JSON.parse(data)); else early.push(JSON.parse(data)); };
  await new Promise((opened) => { events.onopen = opened; }); // from here on no change is missed; what overlaps with the state does no harm
  let lost = false;
  events.onerror = () => { lost = true; say("the sandbox is gone: start it again and this page comes back", "bad"); };
  events.onopen = () => { if (lost) location.reload(); };
  const answer = await fetch("/api/state");
  if (!answer.ok) throw new Error(await answer.text());
  const state = await answer.json();
  clients.discord = new Discord(document.getElementById("discord"), state.discord);
  clients.telegram = new Telegram(document.getElementById("telegram"), state.telegram);
  early.forEach(apply);
  if (!lost) say(`ready · ${state.providers.map((provider) => provider.title).join(" · ")}`, "good");
}

switches.forEach((button) => button.addEventListener("click", () => show(button.dataset.show)));
start().catch((error) => say(`could not start: ${error.message}`, "bad"));
