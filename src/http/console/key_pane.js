// The key that is open: its facts, its value in three forms, its versions, and the way to its edit.

import { bestForm, fromBase64, toLabel, toPreview } from "./bytes.js";
import { ask } from "./dialog.js";
import { drawEditor } from "./editor.js";
import { bytes, count, duration } from "./format.js";
import { lastOf } from "./last_of.js";
import { button, choice, facts, kbd, notice } from "./parts.js";
import { FORMS, difference, value } from "./value_view.js";
import { h } from "./vdom.js";

const KINDS = { set: "written", deleted: "deleted", expired: "expired" };

/** Draws the pane. `it` is the OpenKey. */
export function drawKey(app, it) {
  const { current } = it;
  const label = toLabel(fromBase64(it.key));
  return h(
    "div",
    { class: "pane-body", key: it.key },
    h(
      "header",
      { class: "pane-head" },
      h(
        "a",
        {
          class: "back",
          href: app.href({ view: "keys", params: { prefix: app.place.params.prefix } }),
        },
        "‹ Keys",
      ),
      h("h2", { class: "key-title" }, label),
    ),
    it.error &&
      notice(
        "bad",
        it.error.message,
        " ",
        button("Try again", () => it.refresh()),
        " ",
        button("Show what this server has", () => it.refresh("stale")),
      ),
    current === null && it.isLoading && h("p", { class: "quiet" }, "Reading…"),
    current !== null && (it.edit !== null ? drawEditor(app, it) : body(app, it)),
  );
}

function body(app, it) {
  const { current } = it;
  return [
    current.found
      ? facts(
          [
            [
              "Revision",
              count(current.mod_revision),
              "The revision of the store that wrote this value",
            ],
            ["Version", count(current.version), "How often it was written since it was created"],
            ["Created at", count(current.create_revision)],
            ["Size", bytes(current.value_bytes)],
            [
              "Expires",
              current.expires_s > 0 ? `in ${duration(current.expires_s * 1000)}` : "never",
            ],
            ["Lease", current.lease ?? "none"],
          ],
          "facts facts-row",
        )
      : notice("info", "There is no such key now."),
    h(
      "div",
      { class: "toolbar" },
      current.found &&
        choice("Form of the value", "form", FORMS, formOf(it), (form) => {
          it.form = form;
          app.draw();
        }),
      h("span", { class: "spring" }),
      button([current.found ? "Edit " : "Create ", kbd("e")], () => it.beginEdit(), {
        disabled: current.truncated,
        class: "button-main",
      }),
      current.found && button("Delete", () => askDelete(app, it), { class: "button-quiet" }),
      button(["Versions ", kbd("v")], () => toggleVersions(app), {
        "aria-pressed": String(app.place.params.pane === "versions"),
      }),
    ),
    current.truncated &&
      notice(
        "info",
        `Only a part of ${bytes(current.value_bytes)} is shown, so it cannot be edited here.`,
      ),
    current.found && shownValue(formOf(it), current.value),
    app.place.params.pane === "versions" && it.versions && versions(app, it),
  ];
}

function formOf(it) {
  return it.form ?? formThatSuits(it.current.value ?? "");
}

const formThatSuits = lastOf((base64) => bestForm(fromBase64(base64)));

const shownValue = lastOf((form, base64) => value(form, fromBase64(base64), "The value"));

function toggleVersions(app) {
  const { pane, ...params } = app.place.params;
  app.go({ view: "keys", params: { ...params, pane: pane === "versions" ? null : "versions" } });
}

function askDelete(app, it) {
  const { current } = it;
  const label = toLabel(fromBase64(it.key));
  ask(app, {
    title: "Delete this key?",
    action: "Delete",
    isDangerous: true,
    body: () =>
      h(
        "p",
        null,
        h("code", null, label),
        ` is deleted if it is still at revision ${count(current.mod_revision)}. ` +
          "Its versions can be read until they are compacted.",
      ),
    run: async () => {
      const sentence = await it.remove(current.mod_revision);
      app.keys.list.refresh();
      return sentence;
    },
  });
}

function versions(app, it) {
  const { items, compacted, hasMore, isLoading, error } = it.versions;
  const isWhole = !hasMore && items.at(-1)?.version === 1;
  return h(
    "section",
    { class: "versions", "aria-labelledby": "versions-title" },
    h("h3", { id: "versions-title" }, "Versions"),
    error &&
      notice(
        "bad",
        error.message,
        " ",
        button("Try again", () => it.loadVersions()),
      ),
    items.length > 0 &&
      h(
        "ol",
        { class: "version-list" },
        items.map((item) =>
          h(
            "li",
            { key: item.mod_revision },
            h(
              "button",
              {
                type: "button",
                class: "version-row",
                "aria-pressed": String(it.version?.item.mod_revision === item.mod_revision),
                disabled: item.kind !== "set",
                on: { click: () => it.showVersion(item) },
              },
              h("span", { class: "number" }, count(item.mod_revision)),
              h(
                "span",
                { class: item.kind === "set" ? null : "quiet" },
                KINDS[item.kind] ?? item.kind,
              ),
              h(
                "span",
                { class: "number quiet" },
                item.kind === "set" ? bytes(item.value_bytes) : "",
              ),
              h(
                "span",
                { class: "key-preview" },
                item.value === null ? "" : toPreview(fromBase64(item.value), 80),
              ),
            ),
          ),
        ),
      ),
    items.length === 0 && !isLoading && !error && h("p", { class: "empty" }, "No version is kept."),
    hasMore && button("Older versions", () => it.loadVersions(true), { disabled: isLoading }),
    !hasMore &&
      !isWhole &&
      !isLoading &&
      !error &&
      compacted > 1 &&
      h(
        "p",
        { class: "quiet" },
        `What was replaced before revision ${count(compacted)} is compacted: it cannot be read.`,
      ),
    it.version && versionValue(app, it),
  );
}

function versionValue(app, it) {
  const { item, current, error } = it.version;
  if (error) return notice("bad", error.message);
  if (current === null) return h("p", { class: "quiet" }, "Reading…");
  const old = current.value ?? "";
  const isNow = item.mod_revision === it.current.mod_revision;
  return h(
    "div",
    { class: "version-value", key: item.mod_revision },
    h(
      "div",
      { class: "section-head" },
      h("h4", null, `Revision ${count(item.mod_revision)}`, isNow && " (now)"),
      !isNow &&
        button("Edit from this version", () => it.beginFromVersion(), {
          disabled: current.truncated,
        }),
    ),
    isNow || !it.current.found
      ? oldValue(it.form, old)
      : [
          h(
            "p",
            { class: "quiet" },
            h("span", { class: "line-old" }, "− this version"),
            "  ",
            h("span", { class: "line-new" }, "+ now"),
          ),
          differenceToNow(old, it.current.value),
        ],
  );
}

const oldValue = lastOf((form, base64) => {
  const old = fromBase64(base64);
  return value(form ?? bestForm(old), old, "The value of this version");
});

const differenceToNow = lastOf((old, now) => {
  const bytesNow = fromBase64(now);
  return difference(fromBase64(old), bytesNow, bestForm(bytesNow));
});
