// Elements of a page. What people wrote only ever enters as text, never as markup.

export function make(tag, name = "", ...inside) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  made.append(...inside.filter((one) => one !== null && one !== undefined && one !== ""));
  return made;
}

export function button(name, text, press) {
  const made = make("button", name, text);
  made.type = "button";
  made.addEventListener("click", press);
  return made;
}

// A box of this browser for one page: drafts and what is not saved yet survive a reload. A browser that keeps nothing still serves.
export class Box {
  constructor(key) {
    this.key = key;
    try {
      this.held = JSON.parse(localStorage.getItem(key) ?? "{}") ?? {};
    } catch {
      this.held = {};
    }
  }

  get(name, otherwise) {
    return this.held[name] ?? otherwise;
  }

  set(name, value) {
    this.held[name] = value;
    try {
      localStorage.setItem(this.key, JSON.stringify(this.held));
    } catch {
      // full or forbidden: it is kept until the page is left
    }
  }

  empty() {
    this.held = {};
    try {
      localStorage.removeItem(this.key);
    } catch {
      // as above
    }
  }
}
