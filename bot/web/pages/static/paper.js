// The paper on the desk: one question, the places beside it, the step before handing in.

import { button, make } from "./make.js";

const MARKS = { saved: "✓", picked: "○", owed: "↻", open: "" };
const WORDS = { saved: "已保存", picked: "选了，还没确定", owed: "正在保存", open: "未答" };

// How a choice is read aloud and shown again.
export const spoken = (choice) => (choice.length > 24 ? `${choice.slice(0, 24)}…` : choice);

export function question(item, size, state, draft, act) {
  const form = make("form", "card");
  const legend = make("legend", "", make("p", "no", `第 ${item.n}/${size} 题 · ${item.label} · ${item.points} 分`), make("p", "stem", item.stem));
  const field = make("fieldset", "question", legend);
  const sure = make("button", "main sure");
  const said = make("p", "said");
  const settled = state === "saved" || state === "owed";
  let value = () => draft;
  const show = () => {
    const choice = value();
    sure.disabled = !choice;
    sure.textContent = !choice || !item.options.length ? "确定" : `确定选 ${choice}`;
    said.textContent = choice ? "点「确定」才会记录；记录后不能再改。" : item.several ? "可以选多个。选好后点「确定」。" : item.options.length ? "先选一个，再点「确定」。" : "写好后点「确定」。";
    said.className = "said soft";
  };
  if (item.options.length) {
    const list = make("div", item.several ? "options several" : "options");
    for (const [say, words] of item.options) {
      const input = make("input");
      input.type = item.several ? "checkbox" : "radio";
      input.name = "choice";
      input.value = say;
      input.checked = draft.includes(say);
      input.disabled = settled;
      const tick = make("span", "tick", "✓");
      tick.setAttribute("aria-hidden", "true");
      const letter = say === words ? null : make("span", "letter", say);
      list.append(make("label", settled ? "option settled" : "option", input, letter, make("span", "words", words), tick, make("span", "ring")));
    }
    field.append(list);
    value = () => [...list.querySelectorAll("input:checked")].map((one) => one.value).join("");
    // A class and not :has(), which the browsers inside older chat apps do not know.
    const paint = () => list.querySelectorAll("input").forEach((one) => one.parentElement.classList.toggle("picked", one.checked));
    paint();
    list.addEventListener("change", () => {
      act.draft(item.n, value());
      paint();
      show();
    });
  } else {
    const input = make(item.kind === "fill" ? "input" : "textarea");
    if (item.kind === "fill") input.type = "text";
    input.maxLength = 2000;
    input.autocomplete = "off";
    input.value = draft;
    input.disabled = settled;
    input.setAttribute("aria-label", `第 ${item.n} 题的答案`);
    field.append(make("div", "written", input));
    value = () => input.value.trim();
    input.addEventListener("input", () => {
      act.draft(item.n, value());
      show();
    });
  }
  form.append(field);
  if (settled) {
    said.textContent = state === "saved" ? `✓ 已保存${item.options.length ? `：${spoken(draft)}` : ""}，以这一次为准。` : "↻ 正在保存，断网时会一直重试，不用再点。";
    form.append(said);
  } else {
    show();
    form.append(make("div", "row", sure), said);
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!settled && value()) act.sure(item.n, value());
  });
  const steps = make("div", "row ends steps");
  const back = button("", "上一题", () => act.go(item.n - 1));
  const on = button("", item.n < size ? "下一题" : "检查并交卷", () => (item.n < size ? act.go(item.n + 1) : act.review()));
  back.disabled = item.n === 1;
  steps.append(back, button("fold", "答题卡", act.fold), on);
  form.append(steps);
  return form;
}

export function places(items, here, stateOf, act) {
  const list = make("ol", "grid");
  for (const item of items) {
    const state = stateOf(item);
    const made = button("place", String(item.n), () => act.go(item.n));
    made.dataset.state = state;
    made.setAttribute("aria-label", `第 ${item.n} 题，${WORDS[state]}`);
    if (item.n === here) made.setAttribute("aria-current", "true");
    if (MARKS[state]) made.append(make("i", "", MARKS[state]));
    list.append(make("li", "", made));
  }
  const legend = make("p", "legend", ...["saved", "picked", "owed", "open"].map((one) => make("span", "", `${MARKS[one] || "空白"} ${WORDS[one]}`)));
  return make("aside", "card places", make("h2", "", "答题卡"), list, legend, button("main", "检查并交卷", act.review));
}

export function review(items, stateOf, draftOf, size, saved, owed, act) {
  const card = make("section", "card", make("h2", "", "检查并交卷"), make("p", "", `已保存 ${saved}/${size} 题。`));
  const jump = (found) => {
    const list = make("ol", "grid");
    for (const item of found) list.append(make("li", "", button("place", String(item.n), () => act.go(item.n))));
    return list;
  };
  const open = items.filter((item) => stateOf(item) === "open");
  const picked = items.filter((item) => stateOf(item) === "picked");
  if (picked.length) {
    const all = button("main", `把这 ${picked.length} 题都确定`, () => act.sureAll(picked));
    card.append(make("h3", "", `选了还没确定（${picked.length} 题，不确定就不会记录）`), jump(picked), make("p", "row", all));
    for (const [place, item] of picked.entries()) card.querySelectorAll(".place")[place].setAttribute("aria-label", `第 ${item.n} 题，写的是 ${spoken(draftOf(item))}`);
  }
  if (open.length) card.append(make("h3", "", `没有答（${open.length} 题）`), jump(open));
  if (!open.length && !picked.length) card.append(make("p", "note good", "✓ 全部题目都答了。"));
  if (owed) card.append(make("p", "note warn", `↻ 还有 ${owed} 题正在保存，存好后才能交卷。`));
  const give = button(open.length || picked.length ? "bad" : "main", open.length || picked.length ? "不答了，确认交卷" : "确认交卷", act.handIn);
  give.disabled = owed > 0;
  card.append(make("p", "soft", "交卷后不能再答。到时间没有交，会用已保存的答案自动交卷。"), make("div", "row ends", button("", "回去接着答", act.back), give));
  return card;
}
