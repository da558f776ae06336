// The page: it holds what is known, draws the view that the address names, and moves on when its
// server does not answer any more.

import { Api } from "./api.js";
import { applyEvent, lose, unknownCluster } from "./cluster.js";
import { closeDialog, dismiss, drawDialog } from "./dialog.js";
import { unpackDraft } from "./failover.js";
import { focusSoon } from "./focus.js";
import { drawFrame, drawHelp } from "./frame.js";
import { keys } from "./keys.js";
import { Mover } from "./mover.js";
import { overview } from "./overview.js";
import { arrive, format, parse } from "./route.js";
import { servers } from "./servers.js";
import { listen } from "./shortcuts.js";
import { openStream } from "./stream.js";
import { terms } from "./terms.js";
import { currentTheme, nextTheme, setTheme } from "./theme.js";
import { patch } from "./vdom.js";
import { resume } from "./edit.js";

const VIEWS = { overview, servers, keys, terms };
/** A sentence about what was done is shown for this long. */
const SAID_MS = 6_000;

class App {
  constructor() {
    this.views = VIEWS;
    this.api = new Api();
    this.cluster = unknownCluster();
    this.place = { view: "overview", params: {} };
    this.windowMs = 300_000;
    this.cursor = {
      atMs: null,
      move: (atMs) => {
        this.cursor.atMs = atMs;
        this.draw();
      },
    };
    this.dialog = null;
    this.isHelpOpen = false;
    this.said = null;
    this.keys = null;
    this.isDrawn = true;
    this.mover = new Mover({
      onChange: () => this.draw(),
      draft: () => keys.draft(this),
      place: () => this.place,
      theme: currentTheme,
    });
  }

  start() {
    this.root = document.getElementById("root");
    this.arrive();
    window.addEventListener("hashchange", () => this.follow());
    window.addEventListener("beforeunload", (event) => {
      // A move takes the edit along; anything else would lose it.
      if (keys.draft(this) !== null && !this.mover.isMoving) event.preventDefault();
    });
    document.querySelector(".skip").addEventListener("click", (event) => {
      // The part behind the `#` names the view, so the link cannot be an ordinary one.
      event.preventDefault();
      document.getElementById("main").focus();
    });
    listen(document, () => this.shortcuts());
    this.listenToServer();
  }

  /** The page came from the page of another server, maybe with an edit. */
  arrive() {
    const { place, movedFrom, theme, draft } = arrive(parse(location.hash));
    if (theme) setTheme(theme);
    history.replaceState(null, "", format(place));
    this.enter(place);
    if (movedFrom) this.say(`Moved here, because server ${movedFrom} does not answer.`);
    const edit = draft ? unpackDraft(draft) : null;
    if (edit !== null && this.keys?.key.key === edit.key) this.keys.key.edit = resume(edit);
  }

  listenToServer() {
    const handle = (name) => (data) => {
      const before = this.cluster.state?.leader ?? null;
      this.cluster = applyEvent(this.cluster, name, data);
      this.mover.hear();
      this.announceLeader(before);
      if (name === "hello") {
        // A failure is no matter: a write asks for the session itself.
        this.api.renewSession().catch(() => {});
      }
      this.draw();
    };
    const names = ["hello", "state", "term", "sample", "bye"];
    openStream({
      url: () => "/console/v1/events",
      handlers: Object.fromEntries(names.map((name) => [name, handle(name)])),
      onLost: (failures) => {
        this.cluster = lose(this.cluster);
        this.mover.lose(this.cluster.state, failures);
        this.draw();
      },
    });
  }

  announceLeader(before) {
    const now = this.cluster.state?.leader ?? null;
    if (now === before || (before === null && this.cluster.terms.length <= 1)) return;
    this.announce(now === null ? "No server leads." : `Server ${now} leads.`);
  }

  announce(text) {
    document.getElementById("announcer").textContent = text;
  }

  // Places.

  /** The address of a place in this page. */
  href(place) {
    return format(place);
  }

  /** Goes to a place. */
  go(place, { replace = false } = {}) {
    const hash = format(place);
    if (hash === format(this.place)) return this.draw();
    if (replace) history.replaceState(null, "", hash);
    else history.pushState(null, "", hash);
    return this.follow();
  }

  follow() {
    this.enter(parse(location.hash));
    this.draw();
  }

  enter(place) {
    const before = this.place.view;
    const isOther = before !== place.view;
    if (isOther) VIEWS[before].leave?.(this);
    this.place = place;
    VIEWS[place.view].enter?.(this);
    if (isOther) window.scrollTo(0, 0);
  }

  // What is drawn.

  /** Draws with the next frame, once for all that happens before it. */
  draw() {
    if (!this.isDrawn) return;
    this.isDrawn = false;
    requestAnimationFrame(() => {
      this.isDrawn = true;
      patch(this.root, [
        drawFrame(this, VIEWS[this.place.view].draw(this)),
        drawDialog(this),
        drawHelp(this),
      ]);
      document.title = this.title();
    });
  }

  title() {
    const { state, isLive } = this.cluster;
    const name = `${VIEWS[this.place.view].title} · ${state?.cluster.name ?? "Coracle"}`;
    if (state === null) return name;
    if (!isLive) return `(no answer) ${name}`;
    return `${state.leader === null ? "no leader" : `${state.leader} leads`} · ${name}`;
  }

  /** Tells the person a sentence. */
  say(text) {
    this.said = text;
    this.announce(text);
    clearTimeout(this.saidTimer);
    this.saidTimer = setTimeout(() => {
      this.said = null;
      this.draw();
    }, SAID_MS);
    this.draw();
  }

  // The keyboard.

  shortcuts() {
    return {
      "g o": () => this.go({ view: "overview" }),
      "g s": () => this.go({ view: "servers" }),
      "g k": () => this.go({ view: "keys" }),
      "g t": () => this.go({ view: "terms" }),
      "/": () => this.go({ view: "keys" }) || focusSoon("prefix"),
      t: () => this.switchTheme(),
      "?": () => this.showHelp(true),
      ...VIEWS[this.place.view].shortcuts?.(this),
    };
  }

  switchTheme() {
    nextTheme();
    const names = { system: "as the system", light: "light", dark: "dark" };
    this.say(`The page is ${names[currentTheme()]}.`);
  }

  showHelp(isOpen) {
    this.isHelpOpen = isOpen;
    if (isOpen && this.dialog !== null) dismiss(this);
    if (!isOpen) closeDialog();
    this.draw();
  }
}

new App().start();
