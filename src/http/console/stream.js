// A stream of server-sent events that notices when its server is silent, and that is closed while
// the page is hidden: a browser has only six connections to a server for all of its pages.

/** A stream in which nothing came for so long is taken for lost. */
const SILENCE_MS = 5_000;
/** The pause before the next try: short at first, because a server that was restarted is back
 * soon. */
const RETRY_MS = [200, 1_000, 2_000];

/** Opens a stream.
 *
 * `url` is a function, asked before each try, because a watch goes on where it stopped. `handlers`
 * are functions by the name of the event; they get its data. `onLost` is called with the number
 * of tries that failed since the last event. `environment` is replaced by tests. */
export function openStream({ url, handlers, onLost, environment = browserEnvironment() }) {
  let source = null;
  let timer = null;
  let failures = 0;
  let isClosed = false;

  const wait = (ms, then) => {
    environment.clearTimeout(timer);
    timer = environment.setTimeout(then, ms);
  };
  const drop = () => {
    source?.close();
    source = null;
  };
  const fail = () => {
    if (isClosed || source === null) return;
    drop();
    failures += 1;
    const pause = RETRY_MS[Math.min(failures, RETRY_MS.length) - 1];
    wait(pause, connect);
    onLost?.(failures);
  };
  const hear = (handler) => (event) => {
    if (isClosed) return;
    failures = 0;
    wait(SILENCE_MS, fail);
    handler(JSON.parse(event.data));
  };
  const connect = () => {
    if (isClosed || environment.isHidden()) return;
    drop();
    source = environment.open(url());
    source.onerror = fail;
    for (const [name, handler] of Object.entries(handlers)) {
      source.addEventListener(name, hear(handler));
    }
    wait(SILENCE_MS, fail);
  };
  const onVisibility = () => {
    if (isClosed) return;
    if (!environment.isHidden()) {
      if (source === null) connect();
      return;
    }
    environment.clearTimeout(timer);
    drop();
  };
  const stopListening = environment.onVisibility(onVisibility);
  connect();

  return {
    close() {
      isClosed = true;
      environment.clearTimeout(timer);
      stopListening();
      drop();
    },
  };
}

function browserEnvironment() {
  return {
    open: (url) => new EventSource(url),
    setTimeout: (then, ms) => window.setTimeout(then, ms),
    clearTimeout: (timer) => window.clearTimeout(timer),
    isHidden: () => document.hidden,
    onVisibility(listener) {
      document.addEventListener("visibilitychange", listener);
      return () => document.removeEventListener("visibilitychange", listener);
    },
  };
}
