// The local chat page: what is typed and tapped goes down the line, what comes back is shown; both survive a reload and a restart.

import { Link, newId } from "./link.js";
import { View, element } from "./view.js";

const KEPT = 120; // turns of a conversation that a reload shows again
const SLOW = 350; // milliseconds before the dots show that an answer is on its way

const by = (id) => document.getElementById(id);
const input = by("say");
const STATES = { connecting: "正在连接…", online: "在线", offline: "连接中断，正在重连…" };

let who = sessionStorage.getItem("who") ?? "";
let kept = load();
let drawn = new Map(); // id -> the bubble of what was said
let slow = 0;

const view = new View(by("log"), by("newer"), (text, task, label) => say(text, task, label));
const link = new Link({ heard, state });

function load() {
  const empty = { epoch: "", seq: 0, turns: [] };
  try {
    return { ...empty, ...JSON.parse(sessionStorage.getItem(`talk:${who}`) ?? "{}") };
  } catch {
    return empty;
  }
}

function save() {
  kept.turns = kept.turns.slice(-KEPT);
  try {
    sessionStorage.setItem(`talk:${who}`, JSON.stringify(kept));
  } catch {
    kept.turns = kept.turns.slice(-10); // the browser's store is full: the newest turns are enough for a reload
  }
}

function state(now) {
  by("state").dataset.state = now;
  by("state-text").textContent = STATES[now];
  if (now !== "online") view.typing(false);
  else if (link.owed.size) view.typing(true);
}

// ── Saying ──

function say(text, task = "", label = text) {
  const turn = { id: newId(), said: label, text, task, at: Date.now(), reply: null };
  kept.turns.push(turn);
  save();
  drawSaid(turn, true);
  send(turn);
  focus();
}

function send(turn) {
  link.say({ type: "say", id: turn.id, text: turn.text, task: turn.task, label: turn.said });
  clearTimeout(slow);
  slow = setTimeout(() => link.owed.size && link.ready && view.typing(true), SLOW);
}

function drawSaid(turn, fresh) {
  if (turn.said === null) return;
  const bubble = view.said(turn.said, turn.at, fresh);
  if (!turn.reply) bubble.classList.add("waiting");
  drawn.set(turn.id, bubble);
}

// ── Hearing ──

function heard(frame) {
  if (frame.type === "hello") hello(frame);
  else if (frame.type === "turn") turnCame(frame);
  else if (frame.type === "bad") refused(frame);
}

function hello(frame) {
  if (kept.epoch !== frame.epoch) kept.seq = 0;
  kept.epoch = frame.epoch;
  who = frame.me;
  link.who = who;
  sessionStorage.setItem("who", who);
  choices(frame);
  for (const turn of frame.turns) turnCame(turn);
  for (const turn of kept.turns) if (!turn.reply && !turn.failed && !link.owed.has(turn.id)) link.owed.set(turn.id, { type: turn.enter ? "enter" : "say", id: turn.id, text: turn.text, task: turn.task, label: turn.said });
  // Who was only sent something unasked has not been greeted yet.
  if (kept.turns.every((one) => one.id.startsWith("push-"))) {
    const turn = { id: newId(), said: null, text: "", task: "", at: Date.now(), reply: null, enter: true };
    kept.turns.push(turn);
    link.owed.set(turn.id, { type: "enter", id: turn.id });
  }
  save();
}

function turnCame(frame) {
  kept.seq = Math.max(kept.seq, frame.seq);
  link.answered(frame.id);
  clearTimeout(slow);
  if (!link.owed.size) view.typing(false);
  const at = Date.parse(frame.at);
  let turn = kept.turns.find((one) => one.id === frame.id);
  if (turn?.reply) return;
  if (!turn) {
    // Said in another window, or said to us unasked.
    turn = { id: frame.id, said: frame.label, text: frame.text, task: frame.task, at, reply: null };
    kept.turns.push(turn);
    drawSaid(turn, true);
    if (turn.task) view.closeTask(turn.task, turn.text);
  }
  turn.reply = frame.reply;
  drawn.get(turn.id)?.classList.remove("waiting");
  view.reply(frame.reply, at, true, turn.task);
  save();
}

function refused(frame) {
  link.answered(frame.id);
  view.typing(false);
  const turn = kept.turns.find((one) => one.id === frame.id);
  if (turn) turn.failed = true;
  const bubble = drawn.get(frame.id);
  bubble?.classList.remove("waiting");
  bubble?.append(element("span", "note", frame.reason));
  save();
}

// ── Who talks ──

function choices(frame) {
  const select = by("persona");
  by("persona-box").hidden = frame.personas.length < 2;
  select.replaceChildren(
    ...frame.personas.map((one) => {
      const option = element("option", "", `${one.label} · ${one.name}`);
      option.value = one.user;
      option.selected = one.user === frame.me;
      return option;
    }),
  );
  by("quick").replaceChildren(
    ...frame.quick.map((word) => {
      const chip = element("button", "chip", word);
      chip.type = "button";
      chip.addEventListener("click", () => say(word));
      return chip;
    }),
  );
}

function begin() {
  kept = load();
  drawn = new Map();
  view.clear();
  for (const turn of kept.turns) {
    drawSaid(turn, false);
    if (turn.task) view.closeTask(turn.task, turn.text);
    if (turn.reply) view.reply(turn.reply, turn.at, false, turn.task);
  }
  view.toEnd();
  link.open(who, () => ({ epoch: kept.epoch, seq: kept.seq }));
}

by("persona").addEventListener("change", (event) => {
  save();
  who = event.target.value;
  sessionStorage.setItem("who", who);
  begin();
  focus();
});

// ── Typing ──

// Where there is a keyboard; on a phone the focus would call up one that covers half the screen.
function focus() {
  if (matchMedia("(hover: hover)").matches) input.focus({ preventScroll: true });
}

function fit() {
  input.style.height = "auto";
  input.style.height = `${Math.min(132, input.scrollHeight + 2)}px`;
  by("send").disabled = !input.value.trim();
}

by("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = input.value.trim();
  if (!text) return;
  input.value = "";
  fit();
  say(text);
});

input.addEventListener("input", fit);

addEventListener("keydown", (event) => {
  if (event.isComposing || event.keyCode === 229 || event.ctrlKey || event.metaKey || event.altKey) return;
  const inInput = event.target === input;
  const elsewhere = event.target instanceof HTMLSelectElement || (event.target instanceof HTMLButtonElement && (event.key === "Enter" || event.key === " "));
  if (elsewhere || (inInput && input.value)) {
    if (inInput && event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      by("composer").requestSubmit();
    }
    return;
  }
  if (view.key(event.key)) event.preventDefault();
  else if (inInput && event.key === "Enter") event.preventDefault();
  else if (!inInput && event.key.length === 1) input.focus({ preventScroll: true });
});

// A link may bring the words along; they are sent by whoever has read them.
input.value = new URLSearchParams(location.search).get("say")?.slice(0, 100) ?? "";
fit();
begin();
focus();
