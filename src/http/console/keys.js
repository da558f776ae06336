// The view of the keys: a list by prefix on one side, and on the other the key that is open, or a
// live watch of the prefix.

import { fromBase64, fromLabel, toBase64, toLabel, toPreview } from "./bytes.js";
import { bytes, count, plural } from "./format.js";
import { draftOf } from "./edit.js";
import { focusSoon } from "./focus.js";
import { drawKey } from "./key_pane.js";
import { KeyList } from "./key_list.js";
import { drawNewKey } from "./new_key.js";
import { OpenKey } from "./open_key.js";
import { button, kbd, notice } from "./parts.js";
import { drawWatch } from "./watch_pane.js";
import { WatchLog } from "./watch_log.js";
import { h } from "./vdom.js";

const PREVIEW_CHARACTERS = 120;
/** The list is read when the person has paused for this long. */
const TYPING_MS = 150;

export const keys = {
  title: "Keys",

  enter(app) {
    const it = (app.keys ??= build(app));
    const { prefix = "", key = null, pane = null } = app.place.params;
    it.entered = prefix;
    it.error = null;
    try {
      it.list.show(toBase64(fromLabel(prefix)));
      const opened = pane === "watch" ? null : key === null ? null : toBase64(fromLabel(key));
      it.key.open(opened);
      if (pane === "versions" && it.key.versions === null && opened !== null) it.key.loadVersions();
      watchPrefix(it, pane === "watch" ? toBase64(fromLabel(prefix)) : null);
    } catch (error) {
      it.error = error.message;
    }
  },

  leave(app) {
    watchPrefix(app.keys, null);
    // An edit is kept until the person comes back; a key without one is read anew then.
    if (app.keys.key.edit === null) app.keys.key.open(null);
  },

  draw(app) {
    const it = app.keys;
    const { pane = null, key = null } = app.place.params;
    const hasPane = pane !== null || key !== null;
    return [
      h("h1", { class: "hidden" }, "Keys"),
      h(
        "div",
        { class: hasPane ? "split has-pane" : "split" },
        h(
          "section",
          { class: "split-list", "aria-label": "Keys by prefix" },
          search(app, it),
          list(app, it),
        ),
        h(
          "section",
          { class: "split-pane", "aria-label": "The key or watch that is open" },
          drawPane(app, it),
        ),
      ),
    ];
  },

  shortcuts(app) {
    const it = app.keys;
    return {
      "/": () => document.getElementById("prefix")?.focus(),
      j: () => move(1),
      k: () => move(-1),
      n: () => newKey(app),
      e: () => it.key.beginEdit() && focusSoon("value"),
      v: () =>
        it.key.key !== null &&
        showPane(app, app.place.params.pane === "versions" ? null : "versions"),
      w: () => toggleWatch(app),
      Escape: () => closePane(app, it),
    };
  },

  /** What would be lost if the page went away, or `null`. */
  draft(app) {
    return app.keys?.key.isDirty ? draftOf(app.keys.key.edit) : null;
  },
};

function build(app) {
  const it = { entered: "", error: null, timer: null, watchedPrefix: null, newLabel: "" };
  const draw = () => app.draw();
  it.list = new KeyList(app.api, draw);
  const watch = new WatchLog({
    onUpdate: draw,
    onChanges: (changes) => {
      changes.forEach((change) => it.list.take(change));
      it.key.take(changes);
    },
  });
  it.key = new OpenKey({
    api: app.api,
    watch,
    onChange: draw,
    say: (text) => {
      app.say(text);
      it.list.refresh();
    },
  });
  it.log = new WatchLog({
    onUpdate: draw,
    onChanges: (changes) => changes.forEach((change) => it.list.take(change)),
  });
  return it;
}

function watchPrefix(it, prefix) {
  if (it.watchedPrefix === prefix) return;
  it.watchedPrefix = prefix;
  if (prefix === null) it.log.stop();
  else it.log.start({ prefix });
}

function search(app, it) {
  return h(
    "form",
    {
      class: "search",
      role: "search",
      on: {
        submit: (event) => {
          event.preventDefault();
          go(app, it.entered, true);
        },
      },
    },
    h("label", { class: "hidden", for: "prefix" }, "Prefix of the keys"),
    h("input", {
      id: "prefix",
      type: "search",
      placeholder: "Prefix, for example config/",
      autocomplete: "off",
      autocapitalize: "off",
      spellcheck: "false",
      value: it.entered,
      on: {
        input: (event) => {
          it.entered = event.target.value;
          clearTimeout(it.timer);
          it.timer = setTimeout(() => go(app, it.entered, false), TYPING_MS);
        },
      },
    }),
    button([" New key ", kbd("n")], () => newKey(app)),
    button(["Watch ", kbd("w")], () => toggleWatch(app), {
      "aria-pressed": String(app.place.params.pane === "watch"),
    }),
  );
}

/** Shows the keys of a prefix. Each letter is not a place to go back to. */
function go(app, prefix, isPlace) {
  clearTimeout(app.keys.timer);
  app.go({ view: "keys", params: { ...app.place.params, prefix } }, { replace: !isPlace });
}

function list(app, it) {
  const { list: keyList } = it;
  const error = it.error ?? keyList.error?.message;
  return h(
    "div",
    { class: "key-list" },
    error && notice("bad", error, " ", keyList.error && retryButtons(keyList)),
    keyList.read === "stale" &&
      !error &&
      notice(
        "warn",
        "These are the keys as this server has them. Newer writes may be missing. ",
        button("Ask the leader", () => keyList.refresh("linearizable")),
      ),
    !error &&
      keyList.keys.length === 0 &&
      !keyList.isLoading &&
      h(
        "p",
        { class: "empty" },
        keyList.prefix === "" ? "The store has no keys." : "No key begins with this.",
      ),
    keyList.keys.length > 0 &&
      h(
        "ul",
        { class: "keys" },
        keyList.keys.map((item) => row(app, item)),
      ),
    h(
      "div",
      { class: "list-foot" },
      keyList.hasMore && button("More keys", () => keyList.more(), { disabled: keyList.isLoading }),
      keyList.revision !== null &&
        h(
          "span",
          { class: "quiet" },
          plural(keyList.keys.length, "key"),
          keyList.hasMore && " and more",
          `, revision ${count(keyList.revision)}`,
        ),
      keyList.revision !== null &&
        button("Refresh", () => keyList.refresh(), {
          class: "button-quiet",
          disabled: keyList.isLoading,
        }),
    ),
  );
}

function retryButtons(keyList) {
  return [
    button("Try again", () => keyList.refresh()),
    " ",
    keyList.read !== "stale" && button("Show what this server has", () => keyList.refresh("stale")),
  ];
}

function row(app, item) {
  const label = toLabel(fromBase64(item.key));
  const { prefix, key, pane } = app.place.params;
  const isOpen = key === label && pane !== "watch";
  return h(
    "li",
    { key: item.key },
    h(
      "a",
      {
        class: "key-row",
        "data-move": true,
        "aria-current": isOpen ? "true" : null,
        href: app.href({ view: "keys", params: { prefix, key: label } }),
      },
      h("span", { class: "key-name" }, label),
      h(
        "span",
        { class: "key-facts" },
        bytes(item.value_bytes),
        item.lease !== null && " · lease",
        item.expires_s > 0 && " · expires",
      ),
      h(
        "span",
        { class: "key-preview" },
        toPreview(fromBase64(item.value ?? ""), PREVIEW_CHARACTERS),
      ),
    ),
  );
}

function drawPane(app, it) {
  const { pane = null, key = null } = app.place.params;
  if (pane === "watch") return drawWatch(app, it.log, toLabel(fromBase64(it.watchedPrefix ?? "")));
  if (pane === "new") return drawNewKey(app, it, () => showPane(app, null));
  if (key !== null && it.key.key !== null) return drawKey(app, it.key);
  return h(
    "div",
    { class: "pane-empty" },
    h("p", null, "Choose a key to see its value and its versions."),
    h(
      "p",
      { class: "quiet" },
      kbd("/"),
      " search ",
      kbd("n"),
      " new key ",
      kbd("w"),
      " watch the prefix ",
      kbd("?"),
      " all keys",
    ),
  );
}

function newKey(app) {
  app.keys.newLabel = app.place.params.prefix ?? "";
  app.keys.newError = null;
  showPane(app, "new");
}

function toggleWatch(app) {
  showPane(app, app.place.params.pane === "watch" ? null : "watch");
}

function showPane(app, pane) {
  const { key, ...others } = app.place.params;
  const isOfKey = pane === null || pane === "versions";
  app.go({ view: "keys", params: { ...others, key: isOfKey ? key : null, pane } });
}

function closePane(app, it) {
  if (it.key.edit !== null)
    return it.key.isDirty ? app.say("Save or give up the edit first.") : it.key.cancelEdit();
  const { prefix } = app.place.params;
  return app.go({ view: "keys", params: { prefix } });
}

/** Moves the focus in the list. */
function move(step) {
  const rows = [...document.querySelectorAll("[data-move]")];
  if (rows.length === 0) return;
  const at = rows.indexOf(document.activeElement);
  const current =
    at >= 0 ? at : rows.findIndex((node) => node.getAttribute("aria-current") === "true");
  rows[Math.min(rows.length - 1, Math.max(0, current + step))].focus();
}
