// A live plot: lines over the last minutes, with their values now or under the pointer. The lines
// are SVG that the browser stretches; all text is HTML, so that it is never stretched.

import { moment } from "./format.js";
import { HEIGHT, WIDTH, axisEnd, describe, largest, nearest, path } from "./plot_scale.js";
import { h } from "./vdom.js";

/** An arrow key moves the cursor by a part of the window. */
const KEY_STEPS = 60;

/** Draws a plot.
 *
 * `series` are `{name, value, look}`: `value` takes a sample; `look` is `main`, `second`, `third`
 * or `rest`. `cursor` is `{atMs, move}`, shared by all plots of the page, so that one can read what
 * several of them show at the same moment. */
export function plot({ title, samples, series, format, axis, windowMs, cursor, note = null }) {
  const toMs = samples.at(-1)?.at_ms ?? 0;
  const fromMs = toMs - windowMs;
  const max = axisEnd(largest(samples, series), axis);
  const chosen = cursor.atMs === null ? null : nearest(samples, cursor.atMs);
  const shown = chosen ?? samples.at(-1) ?? null;
  const frame = { fromMs, toMs, max };
  return h(
    "figure",
    { class: "plot", key: title },
    h(
      "figcaption",
      { class: "plot-head" },
      h("h3", { class: "plot-title" }, title),
      h(
        "ul",
        { class: "legend" },
        series.map((it) => legend(it, shown, format)),
      ),
    ),
    h(
      "div",
      {
        class: "plot-area",
        tabindex: "0",
        role: "img",
        "aria-label": describe(title, samples, series, format),
        on: {
          pointermove: (event) => cursor.move(atOf(event, frame)),
          pointerleave: () => cursor.move(null),
          blur: () => cursor.move(null),
          keydown: (event) => onKey(event, { cursor, shown, samples, frame }),
        },
      },
      drawing(samples, series, frame, chosen),
      h("span", { class: "axis axis-top", "aria-hidden": "true" }, format(max)),
      h("span", { class: "axis axis-bottom", "aria-hidden": "true" }, format(0)),
      chosen &&
        h("span", { class: "axis axis-cursor", "aria-hidden": "true" }, moment(chosen.at_ms, toMs)),
      samples.length === 0 && h("span", { class: "plot-empty" }, "No samples yet"),
    ),
    note && h("p", { class: "plot-note" }, note),
  );
}

function legend({ name, value, look }, sample, format) {
  const it = sample === null ? null : value(sample);
  return h(
    "li",
    { key: name },
    h("span", { class: `swatch swatch-${look}`, "aria-hidden": "true" }),
    h("span", { class: "legend-name" }, name),
    " ",
    h("span", { class: "legend-value" }, format(it)),
  );
}

function drawing(samples, series, frame, chosen) {
  const x = chosen && ((chosen.at_ms - frame.fromMs) / (frame.toMs - frame.fromMs)) * WIDTH;
  return h(
    "svg",
    {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      preserveAspectRatio: "none",
      "aria-hidden": "true",
      focusable: "false",
    },
    [0, 0.5, 1].map((part) =>
      h("line", {
        key: `grid-${part}`,
        class: part === 1 ? "grid grid-zero" : "grid",
        x1: 0,
        x2: WIDTH,
        y1: part * HEIGHT,
        y2: part * HEIGHT,
      }),
    ),
    chosen && h("line", { key: "cursor", class: "cursor", x1: x, x2: x, y1: 0, y2: HEIGHT }),
    // The first series is drawn last, above the others. Failures are drawn when there are any.
    [...series]
      .reverse()
      .filter((it) => it.look !== "bad" || largest(samples, [it]) > 0)
      .map(({ name, value, look }) =>
        h("path", {
          key: `series-${name}`,
          class: `series series-${look}`,
          d: path(samples, value, frame),
        }),
      ),
  );
}

function atOf(event, { fromMs, toMs }) {
  const box = event.currentTarget.getBoundingClientRect();
  return fromMs + ((event.clientX - box.left) / box.width) * (toMs - fromMs);
}

function onKey(event, { cursor, shown, samples, frame: { fromMs, toMs } }) {
  const direction = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (event.key === "Escape") cursor.move(null);
  if (direction === undefined || shown === null) return;
  event.preventDefault();
  const atMs = (cursor.atMs ?? shown.at_ms) + (direction * (toMs - fromMs)) / KEY_STEPS;
  // A server that has just started has no samples in most of the window.
  const firstMs = Math.max(fromMs, samples[0].at_ms);
  cursor.move(Math.min(toMs, Math.max(firstMs, atMs)));
}
