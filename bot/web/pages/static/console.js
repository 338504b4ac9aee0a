// The host's console: shows what it is sent, and sends what is pressed with the last decision that was before the host's eyes.

import { Lost, Refused, post } from "./ask.js";

const by = (id) => document.getElementById(id);
const base = document.querySelector('meta[name="base"]').content;
const home = `${base}/console/contests/${document.querySelector('meta[name="contest"]').content}`;

let now = null;
let ends = null;
let busy = false;

function make(tag, cls, text) {
  const made = document.createElement(tag);
  if (cls) made.className = cls;
  if (text !== undefined) made.textContent = text;
  return made;
}

// ── What is pressed ──

async function send(act, more = {}) {
  if (busy) return;
  busy = true;
  by("wrong").hidden = true;
  draw();
  try {
    await post(`${home}/act`, { act, decided: now.decided, ...more });
  } catch (wrong) {
    by("wrong").hidden = false;
    if (wrong instanceof Refused) by("wrong").textContent = wrong.message;
    else if (wrong instanceof Lost) by("wrong").textContent = "没有连上，这一步不知道办成没有：请看上面的状态再决定。";
    else throw wrong;
  } finally {
    busy = false;
    draw();
  }
}

let resolveAsk = null;

// Asks once more before what cannot be taken back; the reason where one is needed, null when the host thinks better of it.
function ask(head, text, yes, wantsWhy) {
  by("ask-head").textContent = head;
  by("ask-text").textContent = text;
  by("ask-yes").textContent = yes;
  by("ask-why").value = "";
  by("ask-why").required = wantsWhy === "must";
  by("ask-why-box").hidden = !wantsWhy;
  by("ask").showModal();
  return new Promise((resolve) => (resolveAsk = resolve));
}

by("ask-form").addEventListener("submit", (event) => {
  event.preventDefault();
  by("ask").close();
  resolveAsk?.(by("ask-why").value.trim());
  resolveAsk = null;
});
by("ask-no").addEventListener("click", () => by("ask").close());
by("ask").addEventListener("close", () => {
  resolveAsk?.(null);
  resolveAsk = null;
});

async function confirmed(act, head, text, yes, wantsWhy, more = {}) {
  const why = await ask(head, text, yes, wantsWhy);
  if (why !== null) await send(act, { ...more, why });
}

by("adjust").addEventListener("submit", async (event) => {
  event.preventDefault();
  await send("adjust", { team: Number(by("a-who").value), points: Number(by("a-points").value), why: by("a-why").value });
  if (by("wrong").hidden) event.target.reset();
});

// ── What can be done next ──

function upNext() {
  return now.programme.find((one) => one.n === now.up);
}

function steps() {
  const box = by("steps");
  const may = now.mine && !busy;
  const made = [];
  const button = (text, cls, does) => {
    const one = make("button", cls, text);
    one.type = "button";
    one.disabled = !may;
    one.addEventListener("click", does);
    made.push(one);
    return one;
  };
  if (!now.mine) {
    const take = button(now.host ? "接管主持" : "我来主持", "main", () =>
      now.host ? confirmed("take", "接管主持", `现在由 ${now.host} 主持。接管后由您操作，会记在决定记录里，对方能看到。`, "接管") : send("take"),
    );
    take.disabled = busy || now.phase === "finished";
    box.replaceChildren(...made);
    return;
  }
  const up = upNext();
  const next = () => {
    if (!up) return;
    if (up.kind === "required" || up.kind === "risk") {
      made.push(picker(up, may));
    } else {
      button(`出第 ${up.n} 题${up.round ? `（${up.round}）` : ""}`, "main", () => send("next"));
    }
  };
  if (["lobby", "closed", "board"].includes(now.phase)) {
    if (now.judging) judge(button);
    next();
    if (now.phase === "closed") button("看排行", "", () => send("board"));
    if (now.phase !== "lobby") button("结束竞赛", up ? "bad" : "main", () => confirmed("finish", "结束竞赛", "排行会冻结，之后不能再改分。", "结束"));
  }
  if (now.phase === "reading") button("开抢", "main", () => send("buzz"));
  if (now.phase === "open") {
    if (now.judging) judge(button);
    else if (!now.paused) button("收题", "main", () => send("close"));
  }
  if (["reading", "open"].includes(now.phase)) {
    if (now.paused) button("恢复", "main", () => send("resume"));
    else button("暂停", "", () => send("pause"));
    if (now.phase === "reading" || now.judging) button("收题", "", () => send("close"));
    button("作废本题", "bad", () => confirmed("void", `作废第 ${now.n} 题`, "这一题对所有人都不计分；已经答的仍然保留。", "作废", "must", { n: now.n }));
  }
  if (now.phase === "finished") made.push(make("p", "note good", "竞赛已结束，结果已冻结。"));
  box.replaceChildren(...made);
}

function judge(button) {
  button(`${now.judging} 答对`, "main", () => send("right"));
  button(`${now.judging} 答错`, "bad", () => send("wrong"));
}

// 必答 and 风险: whose question it is, and for how much.
function picker(up, may) {
  const box = make("div", "pick");
  const teams = up.kind === "risk" ? now.choosing.map((id) => now.teams.find((one) => one.id === id)) : now.teams;
  const who = make("select");
  who.setAttribute("aria-label", "哪一队");
  if (up.kind === "required") who.append(new Option("各队一起答", ""));
  who.append(...teams.map((one) => new Option(`${one.name}（${one.score} 分）`, one.id)));
  box.append(who);
  let stake = null;
  if (up.kind === "risk") {
    stake = make("select");
    stake.setAttribute("aria-label", "押几分");
    stake.append(...now.stage.stakes.map((one) => new Option(`押 ${one} 分`, one)));
    box.append(stake);
  }
  const go = make("button", "main", `出第 ${up.n} 题（${up.round}）`);
  go.type = "button";
  go.disabled = !may;
  go.addEventListener("click", () => send("next", { ...(who.value ? { team: Number(who.value) } : {}), ...(stake ? { stake: Number(stake.value) } : {}) }));
  box.append(go);
  return box;
}

// ── What is shown ──

function draw() {
  if (!now) return;
  const item = now.item;
  by("label").textContent = now.paused ? "暂停" : now.label;
  by("label").classList.toggle("on", now.phase === "open" && !now.paused);
  by("place").textContent = `${now.n}/${now.total}`;
  by("answered").textContent = item && !["抢答", "风险"].includes(item.round) ? item.answered : "–";
  by("players").textContent = now.players;
  by("seat").hidden = now.mine;
  by("seat").textContent = now.host ? `现在由 ${now.host} 主持，您在旁观。` : "还没有人主持。";
  steps();
  called();
  question();
  teams();
  programme();
  by("log").replaceChildren(...now.log.map(entry));
  by("log-all").hidden = now.log.length <= 8;
  by("screen").href = `${base}${now.address}`;
  by("screen").textContent = `${location.origin}${base}${now.address}`;
}

function called() {
  const call = now.call;
  by("call").textContent = !call
    ? ""
    : call.took === null
      ? `正在发给大家的手机…（${call.what === "ask" ? `第 ${call.n} 题` : "结果"}）`
      : `${call.what === "ask" ? `第 ${call.n} 题` : call.what === "told" ? `第 ${call.n} 题的答案` : "结束的通知"}已发到 ${call.sent} 部手机${call.failed ? `，${call.failed} 人没有收到，可发「继续」看题` : ""}，用时 ${(call.took / 1000).toFixed(1)} 秒。`;
}

function question() {
  const item = now.item;
  const up = upNext();
  by("q-head").textContent = item && now.phase !== "lobby" ? `第 ${item.n} 题${item.round ? ` · ${item.round}` : ""}${item.team ? ` · ${item.team}` : ""}` : up ? "下一题预览" : "题目";
  by("q-stem").textContent = item && now.phase !== "lobby" ? item.stem : up ? up.stem : "";
  const options = item && now.phase !== "lobby" ? item.options : [];
  by("q-options").replaceChildren(
    ...options.map((one, at) => {
      const count = item.spread && item.answered ? `　${item.spread[at].count} 人` : "";
      return make("li", item.spread?.[at].right ? "right" : "", `${one.label === one.say ? "" : `${one.say}. `}${one.label}${count}`);
    }),
  );
  by("q-key").hidden = !item?.why && !item?.void;
  by("q-key").textContent = item?.void ? `本题作废：${item.void}` : item?.why ? `答案 ${item.key || item.shown_key}：${item.why}` : "";
  const buzz = (item?.buzzes ?? []).map((one) => make("li", "", one.fault ? `${one.team} 犯规` : one.behind ? `${one.team} 晚 ${one.behind} 毫秒` : `${one.team}`));
  const order = make("ol");
  order.append(...buzz);
  by("q-buzz").replaceChildren(...(buzz.length ? [make("p", "soft small", "抢答先后（以服务器收到为准）"), order] : []));
}

function teams() {
  by("teams-card").hidden = !now.teams.length;
  by("teams").replaceChildren(
    ...now.teams.map((one) => {
      const line = make("li");
      line.append(make("span", "", one.name), make("b", "", `${one.score} 分`));
      return line;
    }),
  );
  const who = by("a-who");
  const names = now.teams.map((one) => `${one.id}:${one.name}`).join();
  if (who.dataset.names !== names) {
    who.dataset.names = names;
    who.replaceChildren(...now.teams.map((one) => new Option(one.name, one.id)));
  }
  by("adjust").closest("section").hidden = !now.teams.length || !now.mine || now.phase === "finished";
}

function programme() {
  const may = now.mine && !busy && now.phase !== "finished";
  by("programme").replaceChildren(
    ...now.programme.map((one) => {
      const line = make("li", one.state || (one.n === now.up ? "up" : ""));
      line.append(make("span", "n", String(one.n)));
      line.append(make("span", "words", `${one.round ? `【${one.round}】` : ""}${one.stem}${one.key ? `（答案 ${one.key}）` : ""}`));
      if (one.state === "asked" && may) {
        const off = make("button", "bad", "作废");
        off.type = "button";
        off.setAttribute("aria-label", `作废第 ${one.n} 题`);
        off.addEventListener("click", () => confirmed("void", `作废第 ${one.n} 题`, "这一题对所有人都不计分；已经答的仍然保留。", "作废", "must", { n: one.n }));
        line.append(off);
      } else if (one.state === "void") line.append(make("span", "tag warn", "作废"));
      else if (!one.state && may && one.kind !== "risk" && one.n !== now.up && ["lobby", "closed", "board"].includes(now.phase)) {
        const on = make("button", "", "出这题");
        on.type = "button";
        on.setAttribute("aria-label", `出第 ${one.n} 题`);
        on.addEventListener("click", () => send("next", { n: one.n }));
        line.append(on);
      } else line.append(make("span", "", ""));
      return line;
    }),
  );
}

function entry(one) {
  const line = make("li");
  line.append(make("time", "", one.at), make("b", "", `${one.act}${one.n ? ` 第 ${one.n} 题` : ""}`));
  const rest = [one.about, one.points && `${one.points} 分`, one.why, one.actor === "system" ? "系统" : one.actor].filter(Boolean);
  line.append(make("span", "soft", rest.join(" · ")));
  return line;
}

by("log-all").addEventListener("click", (event) => {
  const all = by("log").classList.toggle("all");
  event.target.setAttribute("aria-pressed", String(all));
  event.target.textContent = all ? "只看最近" : "看全部";
});

setInterval(() => {
  const shown = now && ["reading", "open"].includes(now.phase) && now.item?.left !== null && now.item;
  const left = !shown ? null : now.paused ? Math.ceil(now.item.left / 1000) : Math.max(0, Math.ceil((ends - performance.now()) / 1000));
  by("left").textContent = left === null ? "–" : String(left);
  by("left").parentElement.classList.toggle("soon", left !== null && left <= 5);
}, 200);

function connect() {
  const source = new EventSource(`${home}/events`);
  source.addEventListener("message", (event) => {
    now = JSON.parse(event.data);
    ends = now.item?.left == null ? null : performance.now() + now.item.left;
    draw();
  });
  source.addEventListener("gone", () => {
    source.close();
    by("label").textContent = "已退出";
    by("wrong").hidden = false;
    by("wrong").textContent = "这个页面已经过期：请回到聊天，发送「大屏」重新打开。";
  });
  source.addEventListener("error", () => {
    by("label").textContent = "连接中断，正在重连…";
    if (source.readyState === EventSource.CLOSED) {
      source.close();
      setTimeout(connect, 2000);
    }
  });
}

connect();
