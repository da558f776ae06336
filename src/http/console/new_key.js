// The form for a new key. It only names the key; the value is written as that of any other.

import { fromLabel } from "./bytes.js";
import { focusSoon } from "./focus.js";
import { button, notice } from "./parts.js";
import { h } from "./vdom.js";

/** Draws the form. `it` is what the view of the keys holds. */
export function drawNewKey(app, it, cancel) {
  return h(
    "form",
    {
      class: "pane-body",
      on: {
        submit: (event) => {
          event.preventDefault();
          openNew(app, it, event.target.elements.key.value);
        },
      },
    },
    h("h2", null, "New key"),
    h(
      "label",
      { class: "field" },
      "Key",
      h("input", {
        id: "new-key",
        name: "key",
        type: "text",
        required: true,
        autocomplete: "off",
        autocapitalize: "off",
        spellcheck: "false",
        value: it.newLabel,
        on: {
          input: (event) => {
            it.newLabel = event.target.value;
          },
        },
        ref: (node) => queueMicrotask(() => node.focus()),
      }),
    ),
    it.newError && notice("bad", it.newError),
    h(
      "p",
      { class: "quiet" },
      "No spaces. Bytes that are not text are written \\x and two digits.",
    ),
    h(
      "div",
      { class: "buttons" },
      button("Cancel", cancel),
      h("button", { type: "submit", class: "button button-main" }, "Go on"),
    ),
  );
}

/** Opens a key that may be absent, ready to be written. */
async function openNew(app, it, label) {
  it.newError = faultOfKey(label, app.api.session?.limits);
  if (it.newError !== null) return app.draw();
  it.newLabel = "";
  app.go({ view: "keys", params: { prefix: app.place.params.prefix, key: label } });
  await it.key.refresh();
  if (it.key.current?.found) app.say("This key is there already.");
  else if (it.key.beginEdit()) focusSoon("value");
  return undefined;
}

/** What is wrong with the label of a key, in a sentence, or `null`. */
export function faultOfKey(label, limits) {
  let key;
  try {
    key = fromLabel(label);
  } catch (error) {
    return error.message;
  }
  if (key.length === 0) return "A key has one byte at least.";
  const max = limits?.key_bytes_max ?? 250;
  if (key.length > max) return `The key has ${key.length} bytes; the most is ${max}.`;
  if (key.some((byte) => byte <= 0x20 || byte === 0x7f))
    return "A key has no spaces and no control characters.";
  return null;
}
