// The edit of a value. What somebody else wrote meanwhile is shown beside it, and never overwritten
// unless the person has seen it and saves again.

import { fromBase64 } from "./bytes.js";
import { bytesOf, inForm } from "./edit.js";
import { bytes, count } from "./format.js";
import { lastOf } from "./last_of.js";
import { button, choice, kbd, notice } from "./parts.js";
import { FORMS, difference, value } from "./value_view.js";
import { h } from "./vdom.js";

const ROWS_MIN = 6;
const ROWS_MAX = 24;

/** Draws the editor. `it` is the OpenKey. */
export function drawEditor(app, it) {
  const { edit } = it;
  const isSaving = edit.status === "saving";
  const save = () => it.save(app.api.session?.limits);
  const set = (field) => (event) => it.change((old) => ({ ...old, [field]: event.target.value }));
  return h(
    "form",
    {
      class: "editor",
      on: {
        submit: (event) => {
          event.preventDefault();
          if (edit.status === "editing") save();
        },
        keydown: (event) => {
          if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
          event.preventDefault();
          if (edit.status === "editing") save();
        },
      },
    },
    h(
      "p",
      { class: "quiet" },
      edit.base.mod_revision === 0
        ? "The key is created if it is still absent."
        : `It is saved if the key is still at revision ${count(edit.base.mod_revision)}.`,
    ),
    edit.isFromAddress &&
      notice("info", "This edit came with the address of the page. Look at it before you save it."),
    edit.status === "conflict" && conflictPanel(it, edit),
    h(
      "div",
      { class: "toolbar" },
      choice("Form of the edit", "edit-form", FORMS, edit.form, (form) =>
        it.change((old) => inForm(old, form)),
      ),
      h("span", { class: "spring" }),
      h("span", { class: "quiet" }, sizeOf(edit)),
    ),
    h("label", { class: "hidden", for: "value" }, "Value"),
    h("textarea", {
      key: "value",
      id: "value",
      class: "value-input",
      spellcheck: "false",
      autocapitalize: "off",
      rows: Math.min(ROWS_MAX, Math.max(ROWS_MIN, edit.text.split("\n").length + 1)),
      readonly: isSaving,
      value: edit.text,
      on: { input: set("text") },
    }),
    edit.error && notice("bad", edit.error),
    h(
      "div",
      { class: "field-row" },
      h(
        "label",
        { class: "field" },
        "Seconds to live (0: for ever)",
        h("input", {
          type: "text",
          inputmode: "numeric",
          name: "expires",
          value: edit.expires,
          on: { input: set("expires") },
        }),
      ),
      h(
        "label",
        { class: "field" },
        "Lease (empty: none)",
        h("input", {
          type: "text",
          inputmode: "numeric",
          name: "lease",
          value: edit.lease,
          on: { input: set("lease") },
        }),
      ),
    ),
    h(
      "div",
      { class: "buttons" },
      button("Give up", () => it.cancelEdit(), { disabled: isSaving }),
      h(
        "button",
        { type: "submit", class: "button button-main", disabled: edit.status !== "editing" },
        isSaving ? "Saving…" : ["Save ", kbd("Ctrl ↵")],
      ),
    ),
  );
}

const sizeOf = lastOf((edit) => {
  try {
    return bytes(bytesOf(edit).length);
  } catch {
    return "";
  }
});

const conflictPanel = lastOf((it, edit) => {
  const { theirs } = edit;
  const theirValue = fromBase64(theirs.value ?? "");
  const title = theirs.found
    ? `Somebody else wrote this key at revision ${count(theirs.mod_revision)} while you edited.`
    : "Somebody else deleted this key while you edited.";
  return h(
    "section",
    { class: "conflict", "aria-labelledby": "conflict-title" },
    h("h3", { id: "conflict-title", role: "alert" }, title),
    h("p", null, "Nothing was overwritten. Your text is below, as you left it."),
    theirs.found &&
      h(
        "div",
        { class: "conflict-sides" },
        h(
          "div",
          null,
          h("h4", null, "What is stored now"),
          value(edit.form === "hex" ? "hex" : "text", theirValue, "What is stored now"),
        ),
        h(
          "div",
          null,
          h(
            "h4",
            null,
            h("span", { class: "line-old" }, "− stored now"),
            "  ",
            h("span", { class: "line-new" }, "+ yours"),
          ),
          mine(edit, theirValue),
        ),
      ),
    h(
      "div",
      { class: "buttons" },
      button(theirs.found ? "Discard mine" : "Discard mine, leave it deleted", () =>
        it.cancelEdit(),
      ),
      button(
        theirs.found ? "Keep editing mine on top of it" : "Keep editing mine, to create it again",
        () => it.rebase(),
        { class: "button-main" },
      ),
    ),
  );
});

function mine(edit, theirValue) {
  try {
    return difference(theirValue, bytesOf(edit), edit.form);
  } catch (error) {
    return notice("info", error.message);
  }
}
