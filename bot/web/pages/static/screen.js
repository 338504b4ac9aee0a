// The big screen: draws what it is sent, whole each time, and counts the seconds in between by itself.

const by = (id) => document.getElementById(id);
const TICK = "M4 13.5 9.500 19 20 6.500";

let ends = null; // by this machine's own clock, which nobody can set wrong within a question
let drawn = "";

function make(tag, cls, text) {
  const made = document.createElement(tag);
  if (cls) made.className = cls;
  if (text !== undefined) made.textContent = text;
  return made;
}

function connect() {
  const source = new EventSource(document.querySelector('meta[name="events"]').content);
  source.addEventListener("message", (event) => draw(JSON.parse(event.data)));
  source.addEventListener("error", () => {
    by("state").textContent = "连接中断，正在重连…";
    drawn = "";
    // A browser tries again by itself unless it was refused; then it is for us to try.
    if (source.readyState === EventSource.CLOSED) {
      source.close();
      setTimeout(connect, 2000);
    }
  });
}

function draw(now) {
  document.body.dataset.phase = now.phase;
  by("state").textContent = now.paused ? "暂停" : now.label;
  by("place").textContent = now.phase === "finished" ? "谢谢参加" : now.phase === "lobby" ? `共 ${now.total} 题` : `第 ${now.n} / ${now.total} 题`;
  by("veil").hidden = !now.paused;
  by("lobby").hidden = now.phase !== "lobby";
  by("question").hidden = !["reading", "open", "closed"].includes(now.phase);
  by("board").hidden = !["board", "finished"].includes(now.phase);
  if (now.phase === "lobby") lobby(now);
  else if (now.board) board(now);
  else if (now.item) question(now);
  count(now);
  clock(now);
  for (const section of document.querySelectorAll("main > section")) if (!section.hidden) fit(section);
}

// As large as there is room for: a long question with its explanation is made smaller until nothing sticks out.
function fit(section) {
  for (let size = 1; size > 0.45; size -= 0.05) {
    section.style.setProperty("--fit", size);
    if (section.scrollHeight <= section.clientHeight + 1) return;
  }
}

function lobby(now) {
  by("joined").textContent = now.players.toLocaleString("zh-CN");
  by("rules").replaceChildren(...now.rules.map((one) => make("li", "", one)));
}

function question(now) {
  const item = now.item;
  const named = [item.round, item.kind, item.team && `由 ${item.team} 作答`, item.worth !== "0" && `${item.worth} 分`].filter(Boolean);
  by("kind").textContent = named.join(" · ");
  const long = item.options.some((one) => one.label.length > 22);
  by("stem").textContent = item.stem;
  const list = by("options");
  list.dataset.long = long ? 1 : 0;
  list.classList.toggle("solved", Boolean(item.spread));
  list.hidden = Boolean(item.reading);
  const key = `${item.n}:${item.spread ? "solved" : ""}`;
  if (drawn !== key) {
    drawn = key;
    list.replaceChildren(...item.options.map(option));
  }
  if (item.spread) spread(list, item);
  by("buzz").hidden = item.round !== "抢答" || Boolean(item.spread);
  if (item.round === "抢答") buzz(item);
  why(item);
}

function option(one) {
  const line = make("li", "option");
  line.append(make("i", "bar"), make("span", "letter", one.say));
  if (one.label !== one.say) line.append(make("span", "words", one.label));
  else line.append(make("span", "words", one.say === "对" ? "正确" : one.say === "错" ? "错误" : ""));
  const tick = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  tick.setAttribute("viewBox", "0 0 24 24");
  tick.setAttribute("class", "tick");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  for (const [name, value] of [["d", TICK], ["fill", "none"], ["stroke", "currentColor"], ["stroke-width", "3.5"], ["stroke-linecap", "round"], ["stroke-linejoin", "round"]]) path.setAttribute(name, value);
  tick.append(path);
  line.append(tick, make("span", "n", ""));
  return line;
}

function spread(list, item) {
  item.spread.forEach((one, at) => {
    const line = list.children[at];
    const share = item.answered ? Math.round((one.count * 100) / item.answered) : 0;
    line.classList.toggle("right", one.right);
    if (item.answered) line.querySelector(".n").replaceChildren(document.createTextNode(`${share}%`), make("small", "", `${one.count} 人`));
    requestAnimationFrame(() => (line.querySelector(".bar").style.width = `${share}%`));
  });
}

function buzz(item) {
  const box = by("buzz");
  const call = item.holder ? item.holder : item.reading ? "读题中" : "请抢答";
  const order = make("ol");
  for (const one of item.buzzes) {
    const line = make("li", one.fault ? "fault" : one.out ? "out" : one.team === item.holder ? "first" : "");
    line.textContent = one.fault ? `${one.team} 抢答犯规` : one.behind ? `${one.team} +${one.behind} 毫秒` : one.team;
    order.append(line);
  }
  const who = item.holder ? "请作答" : item.reading ? "听到「开抢」再按" : "先后以服务器收到的时刻为准";
  box.replaceChildren(make("p", "call", call), make("p", "who", who), order);
}

function why(item) {
  const box = by("why");
  box.hidden = !item.why && !item.void;
  if (item.void) {
    box.replaceChildren(make("p", "void", `本题作废：${item.void}`), make("p", "", "大家都不计分。"));
    return;
  }
  if (!item.why) return;
  const lines = [make("p", "", item.why), make("p", "source", `依据：${item.source}`)];
  if (!item.options.length) lines.unshift(make("p", "", `答案：${item.shown_key}`));
  box.replaceChildren(...lines);
}

function board(now) {
  const shown = now.board;
  const box = by("board");
  const columns = [];
  if (shown.teams.length) columns.push(column("团队", shown.teams, `${shown.team_rule}。${shown.people.length ? "" : shown.ties}`));
  if (shown.people.length) columns.push(column("个人", shown.people, `${shown.took_part} 人参加。${shown.ties}`));
  box.classList.toggle("empty", !columns.length);
  if (!columns.length) columns.push(make("p", "note", `${shown.took_part} 人参加，答过的都已记录。个人排行：${shown.rule}。`));
  box.replaceChildren(...columns);
}

function column(title, lines, note) {
  const box = make("div");
  box.append(make("h2", "", title));
  for (const one of lines) {
    const line = make("div", `line${one.place === 1 ? " top1" : ""}`);
    const right = one.right === undefined ? "" : `答对 ${one.right} 题`;
    line.append(make("span", "rank", String(one.place)), make("span", "name", one.name), make("span", "right", right), make("span", "score", one.score));
    box.append(line);
  }
  if (note) box.append(make("p", "note", note));
  return box;
}

function count(now) {
  const box = by("count");
  if (!now.item || now.item.round === "抢答" || now.item.round === "风险") {
    box.textContent = "";
    return;
  }
  const of = now.item.round === "齐答" || !now.item.round ? ` / ${now.players}` : "";
  box.replaceChildren(make("b", "", String(now.item.answered)), document.createTextNode(`${of} 人已答`));
}

function clock(now) {
  const left = now.item && ["reading", "open"].includes(now.phase) ? now.item.left : null;
  by("clock").hidden = left === null;
  ends = left === null ? null : performance.now() + left;
  by("clock").dataset.paused = now.paused ? "1" : "";
  tick();
}

function tick() {
  if (ends === null) return;
  const box = by("clock");
  const left = Math.max(0, Math.ceil((ends - performance.now()) / 1000));
  if (box.dataset.paused && by("left").textContent) return;
  by("left").textContent = left ? String(left) : "时间到";
  box.classList.toggle("soon", left > 0 && left <= 5);
  box.classList.toggle("over", left === 0);
}

setInterval(tick, 200);
connect();
