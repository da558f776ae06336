// Stand-ins for the server and the browser, for unit tests.

/** A promise that a test resolves. */
export function later() {
  const it = {};
  it.promise = new Promise((resolve, reject) => Object.assign(it, { resolve, reject }));
  return it;
}

/** An api whose answers a test gives: `answers` are functions by method and path. */
export class FakeApi {
  constructor(answers = {}) {
    this.answers = answers;
    this.asked = [];
    this.session = { limits: { request_timeout_ms: 5000 } };
  }

  get(path, params, signal) {
    return this.answer(`GET ${path}`, params, signal);
  }

  post(path, body) {
    return this.answer(`POST ${path}`, body);
  }

  async answer(name, given, signal) {
    this.asked.push([name, given]);
    return this.answers[name](given, signal);
  }
}

/** An environment of a stream, with a clock that a test moves. */
export class FakeEnvironment {
  constructor() {
    this.now = 0;
    this.timers = new Map();
    this.nextTimer = 1;
    this.sources = [];
    this.hidden = false;
    this.listener = null;
  }

  open(url) {
    const source = {
      url,
      isOpen: true,
      listeners: {},
      addEventListener(name, listener) {
        this.listeners[name] = listener;
      },
      close() {
        this.isOpen = false;
      },
      send(name, data) {
        this.listeners[name]({ data: JSON.stringify(data) });
      },
    };
    this.sources.push(source);
    return source;
  }

  setTimeout(then, ms) {
    this.timers.set(this.nextTimer, { at: this.now + ms, then });
    return this.nextTimer++;
  }

  clearTimeout(timer) {
    this.timers.delete(timer);
  }

  isHidden() {
    return this.hidden;
  }

  onVisibility(listener) {
    this.listener = listener;
    return () => {
      this.listener = null;
    };
  }

  setHidden(hidden) {
    this.hidden = hidden;
    this.listener?.();
  }

  /** Moves the clock, and runs what is due. */
  pass(ms) {
    const until = this.now + ms;
    for (;;) {
      const due = [...this.timers]
        .filter(([, { at }]) => at <= until)
        .sort(([, one], [, other]) => one.at - other.at)[0];
      if (!due) break;
      this.timers.delete(due[0]);
      this.now = due[1].at;
      due[1].then();
    }
    this.now = until;
  }

  get source() {
    return this.sources.at(-1);
  }
}
