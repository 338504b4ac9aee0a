// Before the exam and after it: the rules with the button that starts the clock, and the result as far as it may be told.

import { button, make } from "./make.js";

function facts(rows) {
  const list = make("dl", "facts");
  for (const [name, value] of rows) list.append(make("dt", "", name), make("dd", "", value));
  return list;
}

export function ready(state, begin) {
  const card = make("section", "card phase", make("h1", "", state.name), facts(state.facts));
  const rules = make("ul", "rules", ...state.rules.map((one) => make("li", "", one)));
  card.append(make("h2", "", "开始之前"), rules);
  if (state.hindrance) card.append(make("p", "note warn", state.hindrance));
  else card.append(make("p", "row", button("main", "开始考试，开始计时", begin)));
  return card;
}

export function over(state, begin) {
  const card = make("section", "card", make("h1", "", state.name), make("p", "note good", state.ended));
  if (state.score) card.append(make("p", "score", make("b", "", state.score.got), ` / ${state.score.total} 分　`, make("span", `tag ${state.score.tone}`, state.score.verdict)));
  card.append(make("p", "", state.told));
  if (!state.hindrance) card.append(make("p", "row", button("", "再考一次", begin)));
  const whole = make("div", "phase", card);
  if (state.answers.length) {
    const list = make("ol", "answers");
    for (const one of state.answers) list.append(answer(one));
    whole.append(make("section", "card", make("h2", "", "逐题对照"), list));
  }
  return whole;
}

function answer(one) {
  const head = make("p", "no", `第 ${one.n} 题 · ${one.label} · `, make("span", `tag ${one.tone}`, one.verdict));
  const made = make("li", "", head, make("p", "stem", one.stem), make("p", "", `您的答案：${one.mine || "没有答"}`));
  made.append(make("p", "", `正确答案：${one.key}`), make("p", "soft", `解析：${one.explanation}`), make("p", "soft small", one.source));
  if (one.note) made.append(make("p", "note", one.note));
  return made;
}
