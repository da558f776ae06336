// A live watch of a prefix: each change as it comes, the newest first.

import { fromBase64, toLabel, toPreview } from "./bytes.js";
import { bytes, count } from "./format.js";
import { button, notice } from "./parts.js";
import { h } from "./vdom.js";

const KINDS = { set: "set", deleted: "deleted", expired: "expired" };
const PREVIEW_CHARACTERS = 120;

/** Draws the pane for a WatchLog. */
export function drawWatch(app, log, prefix) {
  const { params } = app.place;
  return h(
    "div",
    { class: "pane-body" },
    h(
      "header",
      { class: "pane-head" },
      h(
        "a",
        { class: "back", href: app.href({ view: "keys", params: { prefix: params.prefix } }) },
        "‹ Keys",
      ),
      h(
        "h2",
        null,
        prefix === "" ? "Changes of all keys" : ["Changes of ", h("code", null, `${prefix}…`)],
      ),
    ),
    h(
      "div",
      { class: "toolbar" },
      h(
        "span",
        { class: log.isConnected ? "live is-live" : "live" },
        log.isConnected ? "Live" : log.ended ? "Ended" : "Connecting…",
      ),
      h(
        "span",
        { class: "quiet" },
        `${count(log.seen)} seen`,
        log.reached ? `, up to revision ${count(log.reached)}` : "",
      ),
      h("span", { class: "spring" }),
      button(
        "Clear",
        () => {
          log.changes = [];
          log.dropped = 0;
          app.draw();
        },
        { class: "button-quiet" },
      ),
    ),
    log.ended &&
      notice(
        "warn",
        log.ended.text,
        " ",
        button("Watch from now on", () =>
          log.start(log.target ?? { prefix: app.keys.watchedPrefix }),
        ),
      ),
    log.changes.length === 0 &&
      !log.ended &&
      h("p", { class: "empty" }, "Changes are shown here as they happen."),
    log.changes.length > 0 &&
      h(
        "ol",
        { class: "changes" },
        log.changes.map((change) => row(app, change)),
      ),
    log.dropped > 0 &&
      h("p", { class: "quiet" }, `${count(log.dropped)} older changes are not shown.`),
  );
}

function row(app, change) {
  const label = toLabel(fromBase64(change.key));
  return h(
    "li",
    { key: `${change.mod_revision} ${change.key}`, class: `change change-${change.kind}` },
    h("span", { class: "number quiet" }, count(change.mod_revision)),
    h("span", { class: "change-kind" }, KINDS[change.kind] ?? change.kind),
    h(
      "a",
      {
        class: "key-name",
        href: app.href({ view: "keys", params: { prefix: app.place.params.prefix, key: label } }),
      },
      label,
    ),
    h("span", { class: "number quiet" }, change.kind === "set" ? bytes(change.value_bytes) : ""),
    h(
      "span",
      { class: "key-preview" },
      change.value === null ? "" : toPreview(fromBase64(change.value), PREVIEW_CHARACTERS),
    ),
  );
}
