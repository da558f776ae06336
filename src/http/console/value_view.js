// Values as text, JSON or hex, and the difference of two of them.

import { HEX_LINE_BYTES, toHexLines, toText } from "./bytes.js";
import { condense, diffLines } from "./diff.js";
import { textIn } from "./edit.js";
import { count } from "./format.js";
import { isJson } from "./json.js";
import { notice } from "./parts.js";
import { h } from "./vdom.js";

/** The forms in which a value can be seen and edited. */
export const FORMS = [
  ["text", "Text"],
  ["json", "JSON"],
  ["hex", "Hex"],
];

/** A value is shown up to this length; drawing more would stop the page. */
const SHOWN_CHARACTERS_MAX = 200_000;
const HEX_LINES_MAX = 2_048;

/** Draws bytes in a form. */
export function value(form, it, label) {
  if (form === "hex") return hexView(it, label);
  const text = toText(it);
  if (text === null) {
    return notice("info", "These bytes are not text (UTF-8): see them as hex.");
  }
  if (form === "json" && !isJson(text)) return notice("info", "This is not JSON.");
  const shown = textIn(form, it);
  return [
    h(
      "pre",
      { class: "value", tabindex: "0", "aria-label": label },
      shown.slice(0, SHOWN_CHARACTERS_MAX),
    ),
    shown.length > SHOWN_CHARACTERS_MAX && h("p", { class: "quiet" }, "The rest is not shown."),
    shown === "" && h("p", { class: "quiet" }, "The value is empty."),
  ];
}

function hexView(it, label) {
  const lines = toHexLines(it, HEX_LINES_MAX);
  return [
    h(
      "pre",
      { class: "value hex", tabindex: "0", "aria-label": label },
      lines.map((line) =>
        h(
          "span",
          { class: "hex-line", key: line.offset },
          h("span", { class: "hex-offset" }, line.offset),
          "  ",
          line.hex.padEnd(HEX_LINE_BYTES * 3 - 1),
          "  ",
          h("span", { class: "hex-text" }, line.ascii),
          "\n",
        ),
      ),
    ),
    it.length > HEX_LINES_MAX * HEX_LINE_BYTES &&
      h("p", { class: "quiet" }, "The rest is not shown."),
  ];
}

/** Draws the difference of two values, by their lines in the form that suits the newer one. */
export function difference(old, now, form) {
  const lines = condense(
    diffLines(textIn(formFor(old, form), old), textIn(formFor(now, form), now)),
  );
  if (!lines.some((line) => line.kind === "old" || line.kind === "new")) {
    return h("p", { class: "quiet" }, "Both are equal.");
  }
  const sign = { same: " ", old: "−", new: "+" };
  return h(
    "pre",
    { class: "value diff", tabindex: "0", "aria-label": "The difference" },
    lines.map((line, index) =>
      line.kind === "skipped"
        ? h("span", { class: "line-skipped", key: index }, `  … ${count(line.count)} equal lines\n`)
        : h(
            "span",
            { class: `line-${line.kind}`, key: index },
            `${sign[line.kind]} ${line.text}\n`,
          ),
    ),
  );
}

function formFor(it, form) {
  return toText(it) === null ? "hex" : form;
}
