// What is seen: bubbles, questions with their buttons, chips. Text only ever enters as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";
const clock = new Intl.DateTimeFormat("zh-CN", { timeZone: "Asia/Shanghai", hour: "2-digit", minute: "2-digit", hour12: false });
const day = new Intl.DateTimeFormat("zh-CN", { timeZone: "Asia/Shanghai", month: "long", day: "numeric" });
const GAP = 5 * 60_000; // milliseconds after which the time is shown again

export function element(tag, name, text) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text !== undefined) made.textContent = text;
  return made;
}

function button(name, text) {
  const made = element("button", name, text);
  made.type = "button";
  return made;
}

const TICK = "M5 12.5l4.5 4.5L19 7.5";
const CROSS = "M6.5 6.5l11 11M17.5 6.5l-11 11";

function drawing(name, line) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", name);
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", line);
  path.setAttribute("fill", "none");
  path.setAttribute("stroke", "currentColor");
  path.setAttribute("stroke-width", "2.4");
  path.setAttribute("stroke-linecap", "round");
  path.setAttribute("stroke-linejoin", "round");
  svg.append(path);
  return svg;
}

// A pictograph at the head of a line: which one is drawn depends on the machine's fonts, so right and wrong are drawn here and the rest is left out.
const SIGN = /^(\p{Extended_Pictographic})\uFE0F?\s*/u;

// An address of this very service becomes a link; any other stays text.
function linked(text) {
  return text.split(/(https?:\/\/[^\s，。；：「」（）]+)/).map((part, place) => {
    if (place % 2 === 0 || !part.startsWith(`${location.origin}/`)) return part;
    const made = element("a", "", part);
    made.href = part;
    made.target = "_blank";
    made.rel = "noopener noreferrer";
    return made;
  });
}

// The stable openings become a mark, a line in 【】 a heading, "解析:" at the head of a line a label; the rest is text as it came.
function bubble(text) {
  const made = element("div", "bubble");
  const opening = /^(已记录|未记录)[,，。:：]?\s*/.exec(text);
  if (opening) made.append(element("span", opening[1] === "已记录" ? "mark" : "mark not", opening[1]));
  const lines = text.slice(opening?.[0].length ?? 0).split("\n");
  lines.forEach((each, number) => {
    const last = number === lines.length - 1;
    const sign = SIGN.exec(each);
    const line = each.slice(sign?.[0].length ?? 0);
    if (sign && "✅❌".includes(sign[1])) made.append(sign[1] === "✅" ? drawing("sign right", TICK) : drawing("sign wrong", CROSS));
    const command = /^「[^」]{1,24}」(?=\s)/.exec(line);
    const label = /^(解析|依据|学时|正确答案)[:：]\s*/.exec(line);
    if (/^【[^】]{1,60}】$/.test(line)) made.append(element("span", "head", line.slice(1, -1)));
    else if (line.startsWith("· ")) made.append(element("span", "item", line));
    else if (command) {
      const row = element("span", "row");
      row.append(element("b", "", command[0].slice(1, -1)), line.slice(command[0].length));
      made.append(row);
    } else if (label) made.append(element("span", "label", label[1]), line.slice(label[0].length), last ? "" : "\n");
    else made.append(...linked(line), last ? "" : "\n");
  });
  return made;
}

// A button that is heard as a letter shows it in a box; one that is heard as its own words shows them once.
function optionButton(option) {
  const made = button("option");
  if (option.label === option.say) {
    made.classList.add("bare");
    made.append(element("span", "words", option.label));
    return made;
  }
  const words = option.label.startsWith(option.say) ? option.label.slice(option.say.length).replace(/^[.．、:：)）\s]+/, "") : option.label;
  made.append(element("span", "letter", option.say), element("span", "words", words || option.label), drawing("tick", TICK));
  return made;
}

export class View {
  // `choose` is called with (text, task, label) when a button is pressed.
  constructor(log, newer, choose) {
    this.log = log;
    this.newer = newer;
    this.choose = choose;
    this.cards = []; // questions still open, oldest first
    this.closed = new Map(); // by task, the questions that were answered
    this.last = 0;
    this.following = true; // the newest is in view, and is to stay there
    newer.addEventListener("click", () => this.toEnd());
    log.addEventListener("scroll", () => this.scrolled(), { passive: true });
    new ResizeObserver(() => this.following && this.toEnd()).observe(log);
  }

  scrolled() {
    this.following = this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 60;
    if (this.following) this.newer.hidden = true;
  }

  clear() {
    this.log.replaceChildren();
    this.cards = [];
    this.closed.clear();
    this.last = 0;
    this.newer.hidden = true;
    this.dots = null;
  }

  toEnd() {
    this.log.scrollTop = this.log.scrollHeight;
    this.following = true;
    this.newer.hidden = true;
  }

  put(node, mine) {
    const follow = mine || this.following;
    this.log.insertBefore(node, this.dots);
    if (!follow) this.newer.hidden = false;
    else if (node.offsetHeight < this.log.clientHeight - 24) this.toEnd();
    else this.toStart(node);
  }

  // What is taller than the screen is read from its beginning.
  toStart(node) {
    this.log.scrollTop = node.offsetTop - this.log.offsetTop - 12;
    this.following = false;
  }

  time(at) {
    if (at - this.last > GAP) {
      const today = day.format(at) === day.format(Date.now());
      this.log.insertBefore(element("p", "when", today ? clock.format(at) : `${day.format(at)} ${clock.format(at)}`), this.dots);
    }
    this.last = Math.max(this.last, at);
  }

  said(text, at, fresh) {
    this.time(at);
    const turn = element("div", fresh ? "turn mine fresh" : "turn mine");
    turn.append(element("div", "bubble", text));
    this.put(turn, true);
    return turn;
  }

  // `task` is what a tap belonged to; what was typed was about the newest question.
  reply(reply, at, fresh, task = "") {
    this.time(at);
    if (reply.done && !task) this.close(this.cards.at(-1), "", reply.done);
    else if (reply.done) this.mark(this.closed.get(task), reply.done);
    const turn = element("div", fresh ? "turn fresh" : "turn");
    if (reply.text) turn.append(bubble(reply.text));
    if (reply.ask) turn.append(reply.ask.head || reply.ask.stem ? this.card(reply.ask) : this.chips(reply.ask.options, reply.ask.task));
    if (reply.buttons.length) turn.append(this.chips(reply.buttons));
    if (!turn.childElementCount) return;
    this.put(turn, false);
  }

  card(ask) {
    const card = element("section", ask.several ? "ask several" : "ask");
    card.setAttribute("aria-label", ask.head || "题目");
    if (ask.head) card.append(element("p", "no", ask.head));
    if (ask.stem) card.append(element("p", "stem", ask.stem));
    const held = { task: ask.task, card, several: ask.several, options: [], submit: null };
    if (!ask.options.length) return card;
    const box = element("div", ask.options.length === 2 && ask.options.every((one) => one.label === one.say && one.say.length < 4) ? "options pair" : "options");
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", ask.several ? "选项，可多选" : "选项");
    for (const option of ask.options) {
      const made = optionButton(option);
      if (ask.several) made.setAttribute("aria-pressed", "false");
      made.addEventListener("click", () => this.press(held, option.say));
      held.options.push({ say: option.say, label: option.label, button: made });
      box.append(made);
    }
    if (ask.several) {
      held.submit = button("submit", "可多选");
      held.submit.disabled = true;
      held.submit.addEventListener("click", () => this.submit(held));
      box.append(held.submit);
    }
    card.append(box);
    this.cards.push(held);
    return card;
  }

  press(held, say) {
    const option = held.options.find((one) => one.say === say);
    if (!option) return;
    if (!held.several) {
      this.close(held, say, "");
      this.choose(say, held.task, option.label.startsWith(say) ? option.label : `${say}. ${option.label}`);
      return;
    }
    option.button.setAttribute("aria-pressed", String(option.button.getAttribute("aria-pressed") !== "true"));
    const says = this.picked(held);
    held.submit.disabled = !says;
    held.submit.textContent = says ? `提交 ${says}` : "可多选";
  }

  picked(held) {
    return held.options.filter((one) => one.button.getAttribute("aria-pressed") === "true").map((one) => one.say).join("");
  }

  submit(held) {
    const says = this.picked(held);
    if (!says) return;
    this.close(held, says, "");
    this.choose(says, held.task, says);
  }

  // Lock a question: what was chosen stays to be seen, nothing can be pressed any more.
  close(held, says, done) {
    if (!held) return;
    this.cards = this.cards.filter((one) => one !== held);
    held.card.classList.add("locked");
    const chosen = says || /已选\s*([A-Z对错]+)/.exec(done)?.[1] || "";
    for (const one of held.options) {
      one.button.disabled = true;
      one.button.classList.toggle("chosen", chosen.includes(one.say));
      if (held.several) one.button.setAttribute("aria-pressed", String(chosen.includes(one.say)));
    }
    held.submit?.remove();
    this.closed.set(held.task, held);
    if (done) {
      held.card.append(element("p", "done", done));
      this.mark(held, done);
    }
  }

  // Right and wrong, where they are told: by sign, by colour and in words, so that what was chosen is not taken for what is right.
  mark(held, done) {
    const told = /已选\s*([A-Z对错]+)\s*([✓✗])(?:\s*应选\s*([A-Z对错]+))?/.exec(done);
    if (!held || !told) return;
    const key = told[2] === "✓" ? told[1] : told[3] ?? "";
    for (const one of held.options) {
      const right = key.includes(one.say);
      const mine = told[1].includes(one.say);
      if (!right && !mine) continue;
      one.button.classList.add(right ? "right" : "wrong");
      one.button.querySelector(".tick")?.remove();
      one.button.append(element("span", "told", right ? (mine ? "您选对了" : "正确答案") : "您选的，不对"), drawing("verdict", right ? TICK : CROSS));
    }
  }

  closeTask(task, says) {
    this.close(this.cards.find((one) => one.task === task), says, "");
  }

  // Commands, or (with a task) what goes on from here: the row locks with what was pressed.
  chips(buttons, task = "") {
    const row = element("div", task ? "chips onward" : "chips");
    for (const one of buttons) {
      const made = button("chip", one.label);
      made.addEventListener("click", () => {
        row.classList.add("locked");
        made.classList.add("chosen");
        for (const each of row.children) each.disabled = true;
        this.choose(one.say, task, one.label);
      });
      row.append(made);
    }
    return row;
  }

  typing(on) {
    if (on && !this.dots) {
      this.dots = element("div", "turn");
      const dots = element("div", "typing");
      dots.setAttribute("aria-label", "正在回复");
      dots.append(element("i"), element("i"), element("i"));
      this.dots.append(dots);
      this.log.append(this.dots);
      this.toEnd();
    } else if (!on && this.dots) {
      this.dots.remove();
      this.dots = null;
    }
  }

  // A key pressed with an empty input: a letter or a number of the newest question, Enter for what was toggled. True when it meant something.
  key(key) {
    const held = this.cards.at(-1);
    if (!held) return false;
    if (key === "Enter") {
      if (!held.several || !this.picked(held)) return false;
      this.submit(held);
      return true;
    }
    const letter = /^[a-i]$/i.test(key) ? key.toUpperCase() : "";
    const place = letter ? letter.charCodeAt(0) - 65 : /^[1-9]$/.test(key) ? Number(key) - 1 : -1;
    // 对 and 错 have no letters of their own: their places stand for them.
    const option = held.options.find((one) => one.say === letter) ?? (letter && /[A-I]/.test(held.options[0].say) ? undefined : held.options[place]);
    if (!option) return false;
    this.press(held, option.say);
    return true;
  }
}
