// Small pieces that several views draw.

import { h } from "./vdom.js";
import { answers } from "./verdict.js";

/** A list of names and values. Items are `[name, value]`, or `null`. */
export function facts(items, className = "facts") {
  return h(
    "dl",
    { class: className },
    items
      .filter((item) => item !== null)
      .map(([name, value, title = null]) =>
        h("div", { key: name, title }, h("dt", null, name), h("dd", null, value)),
      ),
  );
}

/** A table that becomes a list of cards on a narrow page. `columns` are `{title, cell, class}`;
 * `rows` are any values, with `keyOf` for their identity. */
export function table({ caption, columns, rows, keyOf, rowClass = () => null, empty = null }) {
  if (rows.length === 0 && empty) return h("p", { class: "empty" }, empty);
  return h(
    "div",
    { class: "table-frame" },
    h(
      "table",
      { class: "cards" },
      h("caption", { class: "hidden" }, caption),
      h(
        "thead",
        null,
        h(
          "tr",
          null,
          columns.map((column) =>
            h("th", { key: column.title, scope: "col", class: column.class }, column.title),
          ),
        ),
      ),
      h(
        "tbody",
        null,
        rows.map((row) =>
          h(
            "tr",
            { key: keyOf(row), class: rowClass(row) },
            columns.map((column, index) =>
              h(
                index === 0 ? "th" : "td",
                {
                  key: column.title,
                  class: column.class,
                  "data-label": column.title,
                  scope: index === 0 ? "row" : null,
                },
                column.cell(row),
              ),
            ),
          ),
        ),
      ),
    ),
  );
}

/** A sentence about something that went wrong, or that a person has to know. Only the first kind is
 * read out: the numbers in the others change each second. */
export function notice(level, ...content) {
  return h(
    "div",
    { class: `notice notice-${level}`, role: level === "bad" ? "alert" : null },
    content,
  );
}

/** A button. */
export function button(label, onClick, props = {}) {
  const { class: extra = "", ...others } = props;
  return h(
    "button",
    { type: "button", class: `button ${extra}`.trim(), on: { click: onClick }, ...others },
    label,
  );
}

/** The key of a shortcut, as a hint. */
export function kbd(text) {
  return h("kbd", { "aria-hidden": "true" }, text);
}

/** A group of choices, of which one is taken. `choices` are `[value, label]`. */
export function choice(legend, name, choices, chosen, onChoose) {
  return h(
    "fieldset",
    { class: "choice" },
    h("legend", { class: "hidden" }, legend),
    choices.map(([value, label]) =>
      h(
        "label",
        { key: value, class: value === chosen ? "is-chosen" : null },
        h("input", {
          type: "radio",
          name,
          value,
          checked: value === chosen,
          on: { change: () => onChoose(value) },
        }),
        h("span", null, label),
      ),
    ),
  );
}

/** The name of a member, marked when it leads. */
export function memberName(state, member) {
  return h(
    "span",
    { class: "member-name" },
    h("span", { class: `dot dot-${dotOf(state, member)}`, "aria-hidden": "true" }),
    `Server ${member.id}`,
  );
}

/** The word for what a member is now. */
export function roleOf(state, member) {
  if (member.id === state.leader) return "leader";
  if (["unseen", "catching", "rejoining", "draining"].includes(member.state)) {
    return { unseen: "not heard", catching: "catching up" }[member.state] ?? member.state;
  }
  if (member.state === "unknown" && !answers(state, member)) return "no answer";
  if (member.kind === "learner") return "learner";
  const role = member.report?.role ?? member.state;
  return role === "pre_candidate" ? "pre-candidate" : role;
}

function dotOf(state, member) {
  if (member.id === state.leader) return "leader";
  if (member.state === "unseen") return "bad";
  if (["catching", "rejoining"].includes(member.state)) return "warn";
  if (member.state !== "unknown") return "ok";
  return answers(state, member) ? "unknown" : "bad";
}
