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

function tick() {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "tick");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", "M5 12.5l4.5 4.5L19 7.5");
  path.setAttribute("fill", "none");
  path.setAttribute("stroke", "currentColor");
  path.setAttribute("stroke-width", "2.4");
  path.setAttribute("stroke-linecap", "round");
  path.setAttribute("stroke-linejoin", "round");
  svg.append(path);
  return svg;
}

// The stable openings of contract.md become a mark; a first line in 【】 a heading; the rest is text as it came.
function bubble(text) {
  const made = element("div", "bubble");
  const opening = /^(已记录|未记录)[,,。::]?\s*/.exec(text);
  if (opening) {
    made.append(element("span", opening[1] === "已记录" ? "mark" : "mark not", opening[1]), text.slice(opening[0].length));
    return made;
  }
  const heading = /^【[^】\n]{1,60}】[^\n]{0,40}(?=\n|$)/.exec(text);
  if (heading) made.append(element("span", "head", heading[0]), text.slice(heading[0].length).replace(/^\n/, ""));
  else made.append(text);
  return made;
}

export class View {
  // `choose` is called with (text, task, label) when a button is pressed.
  constructor(log, newer, choose) {
    this.log = log;
    this.newer = newer;
    this.choose = choose;
    this.cards = []; // questions still open, oldest first
    this.last = 0;
    newer.addEventListener("click", () => this.toEnd());
    log.addEventListener("scroll", () => this.isAtEnd() && (newer.hidden = true), { passive: true });
  }

  clear() {
    this.log.replaceChildren();
    this.cards = [];
    this.last = 0;
    this.newer.hidden = true;
    this.dots = null;
  }

  isAtEnd() {
    return this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 120;
  }

  toEnd() {
    this.log.scrollTop = this.log.scrollHeight;
    this.newer.hidden = true;
  }

  put(node, mine) {
    const follow = mine || this.isAtEnd();
    this.log.insertBefore(node, this.dots);
    if (follow) this.toEnd();
    else this.newer.hidden = false;
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

  reply(reply, at, fresh) {
    this.time(at);
    if (reply.done) this.close(this.cards.at(-1), "", reply.done);
    const turn = element("div", fresh ? "turn fresh" : "turn");
    if (reply.text) turn.append(bubble(reply.text));
    if (reply.ask) turn.append(this.card(reply.ask));
    if (reply.buttons.length) turn.append(this.chips(reply.buttons));
    if (!turn.childElementCount) return;
    this.put(turn, false);
    if (turn.offsetHeight > this.log.clientHeight) turn.scrollIntoView({ block: "start" });
  }

  card(ask) {
    const card = element("section", ask.several ? "ask several" : "ask");
    card.setAttribute("aria-label", ask.head || "题目");
    if (ask.head) card.append(element("p", "no", ask.head));
    if (ask.stem) card.append(element("p", "stem", ask.stem));
    const held = { task: ask.task, card, several: ask.several, options: [], submit: null };
    if (!ask.options.length) return card;
    const box = element("div", "options");
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", ask.several ? "选项,可多选" : "选项");
    for (const option of ask.options) {
      const made = button("option");
      const bare = option.label.startsWith(option.say) ? option.label.slice(option.say.length).replace(/^[..、::)\s]+/, "") : option.label;
      made.append(element("span", "letter", option.say), element("span", "words", bare || option.label), tick());
      if (ask.several) made.setAttribute("aria-pressed", "false");
      made.addEventListener("click", () => this.press(held, option.say));
      held.options.push({ say: option.say, label: option.label, button: made });
      box.append(made);
    }
    if (ask.several) {
      held.submit = button("submit", "提交");
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
    held.submit.disabled = !this.picked(held);
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
    if (done) held.card.append(element("p", "done", done));
  }

  closeTask(task, says) {
    this.close(this.cards.find((one) => one.task === task), says, "");
  }

  chips(buttons) {
    const row = element("div", "chips");
    for (const one of buttons) {
      const made = button("chip", one.label);
      made.addEventListener("click", () => {
        row.classList.add("locked");
        made.classList.add("chosen");
        for (const each of row.children) each.disabled = true;
        this.choose(one.say, "", one.label);
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
    const option = /^[1-9]$/.test(key) ? held.options[Number(key) - 1] : held.options.find((one) => one.say === key.toUpperCase());
    if (!option) return false;
    this.press(held, option.say);
    return true;
  }
}
