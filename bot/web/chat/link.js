// The line to the service: connects by itself, sends what is owed again with the same id, and asks for what was missed.

const QUIET = 25_000; // milliseconds between two knocks on a silent line
const ANSWER = 6_000; // milliseconds a knock may go unanswered

export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return "c" + Array.from(bytes, (one) => one.toString(16).padStart(2, "0")).join("");
}

export class Link {
  // `heard` gets every frame, `state` gets "connecting", "online" or "offline".
  constructor({ heard, state }) {
    this.heard = heard;
    this.state = state;
    this.owed = new Map(); // id -> frame: said, not yet answered; a Map keeps the order in which they were said
    this.socket = null;
    this.tries = 0;
    this.who = "";
    addEventListener("online", () => this.retryNow());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.retryNow());
  }

  // Talk as somebody, from the last event that was seen on.
  open(who, since) {
    this.who = who;
    this.since = since;
    this.owed.clear();
    this.tries = 0;
    this.connect();
  }

  say(frame) {
    this.owed.set(frame.id, frame);
    if (this.ready) this.socket.send(JSON.stringify(frame));
  }

  answered(id) {
    this.owed.delete(id);
  }

  connect() {
    clearTimeout(this.timer);
    this.drop();
    this.state("connecting");
    const address = new URL("chat/ws", location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    if (this.who) address.searchParams.set("as", this.who);
    const { epoch, seq } = this.since();
    if (epoch) address.searchParams.set("since", `${epoch}.${seq}`);
    const socket = new WebSocket(address);
    this.socket = socket;
    socket.addEventListener("message", (event) => {
      if (socket !== this.socket) return;
      this.listen();
      const frame = JSON.parse(event.data);
      if (frame.type === "pong") return;
      this.heard(frame);
      if (frame.type === "hello") this.greeted();
    });
    socket.addEventListener("close", () => socket === this.socket && this.lost());
    this.knock = setTimeout(() => socket === this.socket && !this.ready && this.lost(), ANSWER);
  }

  greeted() {
    this.tries = 0;
    this.ready = true;
    this.state("online");
    for (const frame of this.owed.values()) this.socket.send(JSON.stringify(frame));
  }

  // Something was heard: the line lives; knock again when it has been silent for a while.
  listen() {
    clearTimeout(this.knock);
    this.knock = setTimeout(() => {
      if (!this.ready) return;
      this.socket.send('{"type":"ping"}');
      this.knock = setTimeout(() => this.lost(), ANSWER);
    }, QUIET);
  }

  drop() {
    clearTimeout(this.knock);
    this.ready = false;
    const old = this.socket;
    this.socket = null;
    if (old) old.close();
  }

  lost() {
    this.drop();
    this.state("offline");
    const wait = Math.min(5000, 300 * 1.7 ** this.tries) * (0.75 + Math.random() / 2);
    this.tries += 1;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.connect(), wait);
  }

  retryNow() {
    if (!this.ready && this.socket === null && this.since) this.connect();
  }
}
