// The exam from the rules to the result. Where it stands is the service's to say; the page shows it, and says again what was not heard.

import { Refused, clock, get, post } from "./ask.js";
import { Keeper } from "./keeper.js";
import { Box, button, make } from "./make.js";
import { places, question, review } from "./paper.js";
import { over, ready } from "./phases.js";

const LOOK_EVERY = 20_000; // milliseconds between two looks at what was answered elsewhere
const SOON = 300; // seconds from which the clock is red
const AT_LAST = 4; // seconds before the end at which what was picked is saved without being asked for

const root = document.getElementById("exam");
const told = document.getElementById("told");
const { address, person } = root.dataset;

let paper = null; // the service's word: items, deadline, name
let keeper = null;
let box = null;
let here = 1;
let looking = false; // the step before handing in is shown
let folded = true;
let note = null; // a word about what has just happened
let warned = SOON + 1;
let ending = false;

const say = (text) => {
  told.textContent = "";
  told.textContent = text;
};

const item = (n) => paper.items[n - 1];
const drafts = () => box.get("drafts", {});
const draftOf = (one) => one.choice ?? keeper.choiceOf(one.n) ?? drafts()[one.n] ?? "";
const saved = () => paper.items.filter((one) => one.choice !== null).length;

function stateOf(one) {
  if (one.choice !== null) return "saved";
  if (keeper.choiceOf(one.n) !== null) return "owed";
  return drafts()[one.n] ? "picked" : "open";
}

// ── What the person does ──

const act = {
  go(n) {
    looking = false;
    here = Math.min(Math.max(1, n), paper.items.length);
    box.set("here", here);
    folded = true;
    note = null;
    draw(true);
  },
  draft(n, choice) {
    box.set("drafts", { ...drafts(), [n]: choice });
    beside();
  },
  sure(n, choice) {
    keeper.save(n, choice);
    say(`第 ${n} 题正在保存`);
    const next = [...paper.items.slice(n), ...paper.items.slice(0, n)].find((one) => stateOf(one) === "open" || stateOf(one) === "picked");
    if (next) act.go(next.n);
    else act.review();
  },
  sureAll(found) {
    for (const one of found) keeper.save(one.n, drafts()[one.n]);
    draw();
  },
  fold() {
    folded = !folded;
    draw();
    if (!folded) root.querySelector(".places h2")?.scrollIntoView({ block: "start" });
  },
  review() {
    looking = true;
    draw(true);
  },
  back() {
    looking = false;
    draw(true);
  },
  async handIn() {
    if (ending) return;
    ending = true;
    try {
      show(await post(`${address}/hand-in`, { sitting: paper.sitting }));
    } catch (wrong) {
      note = make("p", "note bad", wrong instanceof Refused ? wrong.message : "没有连上，还没有交卷。请再点一次「确认交卷」。");
      draw();
    } finally {
      ending = false;
    }
  },
};

// ── What comes of it ──

function answered(n, choice, answer) {
  if (!answer.recorded) {
    // What was picked stays to be seen: it is the person's to decide what to do with it.
    note = make("p", "note bad", answer.say);
    say(answer.say);
    draw();
    void look();
    return;
  }
  item(n).choice = choice;
  say(`第 ${n} 题已保存，共 ${saved()}/${paper.items.length}`);
  const left = { ...drafts() };
  delete left[n];
  box.set("drafts", left);
}

// Look at where the exam stands: answers given in the chat, extra time, the end.
async function look() {
  try {
    const found = await get(`${address}/progress`);
    if (found.sitting !== paper.sitting || found.phase !== "open") return show(await get(`${address}/state`));
    const moved = found.deadline !== paper.deadline;
    paper.deadline = found.deadline;
    if (moved) {
      say("考试时间已调整");
      draw();
    }
    const fresh = paper.items.filter((one) => one.choice === null && found.choices[one.n] !== undefined);
    for (const one of fresh) one.choice = found.choices[one.n];
    if (fresh.length && (looking || fresh.some((one) => one.n === here))) draw();
    else if (fresh.length) beside();
  } catch (wrong) {
    if (wrong instanceof Refused) stranger(wrong.message);
  }
}

// ── What is seen ──

const STOPS = "button, input, textarea, legend, h2"; // where the keyboard may be

function draw(moved = false) {
  const stop = [...root.querySelectorAll(STOPS)].indexOf(document.activeElement);
  const parts = [strip(), note];
  if (looking) parts.push(review(paper.items, stateOf, draftOf, paper.items.length, saved(), keeper.count, act));
  else {
    const side = places(paper.items, here, stateOf, act);
    side.classList.toggle("folded", folded);
    parts.push(make("div", "desk two", question(item(here), paper.items.length, stateOf(item(here)), draftOf(item(here)), act), side));
  }
  root.replaceChildren(...parts.filter(Boolean));
  tick();
  if (!moved && stop >= 0) stand(root.querySelectorAll(STOPS)[stop]);
  if (moved) {
    scrollTo({ top: 0 });
    // On a phone the keyboard must not jump up by itself.
    const written = matchMedia("(pointer: coarse)").matches ? ":not([type=text])" : "";
    const first = root.querySelector(`fieldset input:enabled${written}${written ? "" : ", fieldset textarea:enabled"}`) ?? root.querySelector("legend, h2");
    stand(first);
  }
}

function stand(at) {
  if (at?.matches("legend, h2")) at.tabIndex = -1;
  at?.focus({ preventScroll: true });
}

function strip() {
  const left = make("span", "left");
  const made = make("section", "strip", left, make("span", "saved"), make("p", "line small"), make("div", "bar", make("i")));
  made.setAttribute("aria-label", "剩余时间和已保存的题数");
  return made;
}

// What changes while a question is being answered, drawn without touching the question.
function beside() {
  const old = root.querySelector(".places");
  if (old) {
    const fresh = places(paper.items, here, stateOf, act);
    fresh.classList.toggle("folded", folded);
    old.replaceWith(fresh);
  }
  tick();
}

function changed() {
  if (!paper) return;
  const settled = stateOf(item(here));
  if (looking || (settled !== "open" && settled !== "picked")) draw();
  else beside();
}

function tick() {
  if (!paper || paper.phase !== "open") return;
  const seconds = Math.max(0, Math.ceil((Date.parse(paper.deadline) - clock.now()) / 1000));
  const left = root.querySelector(".strip .left");
  if (!left) return;
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60].map((one) => String(one).padStart(2, "0"));
  left.replaceChildren(make("small", "", seconds <= SOON ? "快到时间了，还剩" : "还剩"), (seconds >= 3600 ? parts : parts.slice(1)).join(":"));
  left.classList.toggle("soon", seconds <= SOON);
  root.querySelector(".strip .saved").textContent = `已保存 ${saved()}/${paper.items.length}`;
  root.querySelector(".strip .bar i").style.width = `${(100 * saved()) / paper.items.length}%`;
  const line = root.querySelector(".strip .line");
  const [text, tone] = lineWords();
  line.textContent = text;
  line.className = `line small ${tone}`;
  for (const mark of [SOON, 60]) {
    if (warned > mark && seconds <= mark && seconds > 0) say(`还剩 ${mark / 60} 分钟`);
  }
  warned = seconds;
  if (seconds <= AT_LAST && seconds > 0) for (const one of paper.items) if (stateOf(one) === "picked") keeper.save(one.n, drafts()[one.n]);
  if (seconds === 0 && !root.querySelector(".ended")) {
    root.querySelectorAll("fieldset").forEach((one) => (one.disabled = true));
    root.querySelector(".strip").after(make("p", "note warn ended", "时间到，正在用已保存的答案收卷…"));
    say("时间到，正在收卷");
  }
}

function lineWords() {
  if (keeper.locked) return [keeper.locked, "note bad"];
  if (keeper.count && keeper.away) return [`↻ 没有连上网，${keeper.count} 题还没存上，正在一直重试；时间照走。`, "note warn"];
  if (keeper.count) return [`↻ 正在保存 ${keeper.count} 题…`, "soft"];
  return ["", ""];
}

function show(state) {
  if (state.phase !== "open") {
    if (paper?.sitting) box?.empty();
    paper = null;
    root.replaceChildren(state.phase === "ready" ? ready(state, begin) : over(state, begin));
    scrollTo({ top: 0 });
    return;
  }
  if (paper?.sitting !== state.sitting) {
    box = new Box(`exam-${person}-${state.sitting}`);
    paper = state;
    keeper = new Keeper(address, state.sitting, box, { told: answered, changed });
    here = Math.min(box.get("here", state.place), state.items.length);
  } else paper = state;
  draw(true);
}

function stranger(sentence) {
  root.replaceChildren(make("section", "card", make("h2", "", "考试页面打不开"), make("p", "", sentence)));
  paper = null;
}

async function begin() {
  note = null;
  try {
    show(await post(`${address}/begin`, {}));
  } catch (wrong) {
    if (wrong instanceof Refused && wrong.status === 403) return stranger(wrong.message);
    const sentence = wrong instanceof Refused ? wrong.message : "没有连上网，请再试一次。";
    root.querySelector(".failed")?.remove();
    root.prepend(make("p", "note bad failed", sentence));
    say(sentence);
  }
}

async function open() {
  try {
    show(await get(`${address}/state`));
  } catch (wrong) {
    if (wrong instanceof Refused) return stranger(wrong.message);
    root.replaceChildren(make("section", "card", make("p", "", "没有连上网。已经保存的答案都在。"), button("main", "再试一次", open)));
  }
}

setInterval(() => {
  tick();
  // The end is the service's to say: ask until it has.
  if (paper?.phase === "open" && Date.parse(paper.deadline) <= clock.now() && Math.floor(Date.now() / 1000) % 2 === 0) void look();
}, 1000);
setInterval(() => paper?.phase === "open" && document.visibilityState === "visible" && void look(), LOOK_EVERY);
document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && paper?.phase === "open" && void look());
void open();
