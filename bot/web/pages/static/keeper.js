// Answers on their way: each is said until the service has answered it, always with the same id, so that saying it ten times records it once.

import { Lost, Refused, newId, post } from "./ask.js";

const WAITS = [500, 1_000, 2_000, 4_000, 8_000]; // milliseconds before the next try; the last one stays
const AT_ONCE = 4;

export class Keeper {
  // `told(n, {recorded, say})` hears what became of the answer to item n; `changed()` whenever something is on its way or lost again.
  constructor(address, sitting, box, { told, changed }) {
    this.address = address;
    this.sitting = sitting;
    this.box = box;
    this.told = told;
    this.changed = changed;
    this.owed = new Map(box.get("owed", []).map((one) => [one.n, { ...one, tries: 0, under: false }]));
    this.away = false;
    this.locked = "";
    addEventListener("online", () => this.hurry());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.hurry());
    this.go();
  }

  get count() {
    return this.owed.size;
  }

  choiceOf(n) {
    return this.owed.get(n)?.choice ?? null;
  }

  save(n, choice) {
    this.owed.set(n, { id: newId(), n, choice, tries: 0, under: false });
    this.keep();
    this.go();
  }

  keep() {
    this.box.set("owed", [...this.owed.values()].map(({ id, n, choice }) => ({ id, n, choice })));
    this.changed();
  }

  hurry() {
    clearTimeout(this.timer);
    this.timer = 0;
    for (const one of this.owed.values()) one.tries = Math.min(one.tries, 1);
    this.go();
  }

  go() {
    const free = AT_ONCE - [...this.owed.values()].filter((one) => one.under).length;
    // While the line is down one of them knocks for all.
    const waiting = [...this.owed.values()].filter((one) => !one.under).slice(0, this.away ? Math.min(1, free) : free);
    if (this.timer && this.away) return;
    for (const one of waiting) void this.say(one);
  }

  async say(one) {
    one.under = true;
    try {
      const answer = await post(`${this.address}/answer`, { id: one.id, sitting: this.sitting, n: one.n, choice: one.choice });
      this.away = false;
      this.locked = "";
      this.done(one, answer);
    } catch (wrong) {
      one.under = false;
      one.tries += 1;
      if (wrong instanceof Refused && wrong.status !== 403) this.done(one, { recorded: false, say: wrong.message });
      else {
        this.away = wrong instanceof Lost;
        this.locked = wrong instanceof Refused ? wrong.message : "";
        this.changed();
        this.later(WAITS[Math.min(one.tries, WAITS.length) - 1]);
        return;
      }
    }
    this.go();
  }

  later(wait) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.timer = 0;
      this.go();
    }, wait);
  }

  done(one, answer) {
    one.under = false;
    if (this.owed.get(one.n) === one) this.owed.delete(one.n);
    this.told(one.n, one.choice, answer);
    this.keep();
  }
}
