// Loads the state, opens both clients, follows every change.
import { Discord } from "./discord.js";
import { Telegram } from "./telegram.js";

const status = document.getElementById("status");

function say(words, mood) {
  status.textContent = words;
  status.className = mood;
}

async function start() {
  const clients = {};
  const missed = [];
  const events = new EventSource("/api/events");
  events.onmessage = (event) => {
    const { platform, change } = JSON.parse(event.data);
    if (clients[platform]) clients[platform].change(change); else missed.push([platform, change]);
  };
  let lost = false;
  events.onerror = () => { lost = true; say("the sandbox is gone — start it again", "bad"); };
  events.onopen = () => { if (lost) location.reload(); };
  const state = await (await fetch("/api/state")).json();
  clients.discord = new Discord(document.getElementById("discord"), state.discord);
  clients.telegram = new Telegram(document.getElementById("telegram"), state.telegram);
  missed.forEach(([platform, change]) => clients[platform].change(change));
  say(`ready · ${state.providers.map((provider) => provider.title).join(", ")}`, "good");
}

start().catch((error) => say(`could not start: ${error.message}`, "bad"));
