// The history of terms: who led when, and why that changed.

import { count, duration, moment } from "./format.js";
import { table } from "./parts.js";
import { h } from "./vdom.js";

/** The words for why a term began. */
const CAUSES = {
  start: "the server started",
  timeout: "the leader was not heard",
  transfer: "handed over",
  quorum_lost: "the leader heard too few",
  disk: "the leader's disk stalled",
  removed: "the leader was removed",
  split_vote: "nobody had won",
  unknown: "not known",
};
/** The band shows so many terms at most; older ones would be too narrow to see. */
const BAND_TERMS_MAX = 40;
/** A term is never narrower than this part of the band. */
const PART_MIN = 0.012;

export const terms = {
  title: "Terms",
  draw(app) {
    const { state, terms: items } = app.cluster;
    const now = state?.at_ms ?? 0;
    return [
      h("h1", null, "Terms"),
      h(
        "p",
        { class: "lead" },
        "A term has one leader at most. This is what ",
        state === null ? "the server" : `server ${state.server}`,
        " has seen since its process started, the newest first.",
      ),
      items.length > 0 && band(items, now),
      table({
        caption: "The terms that this server has seen, the newest first",
        rows: items,
        keyOf: (term) => term.term,
        rowClass: (term) =>
          term.ended_at_ms === null && term.leader !== null ? "is-leader" : null,
        empty: "This server has seen no term yet.",
        columns: [
          { title: "Term", cell: (term) => `Term ${count(term.term)}` },
          { title: "Leader", cell: leaderOf },
          { title: "Began", class: "number", cell: (term) => moment(term.began_at_ms, now) },
          {
            title: "Elected after",
            class: "number",
            cell: (term) =>
              term.elected_at_ms === null ? "–" : duration(term.elected_at_ms - term.began_at_ms),
          },
          { title: "Lasted", class: "number", cell: (term) => lasted(term, now) },
          {
            title: "Why it began",
            class: "wide",
            cell: (term) => [
              CAUSES[term.cause] ?? term.cause,
              term.cause_text && h("span", { class: "quiet" }, ` ${term.cause_text}`),
            ],
          },
        ],
      }),
    ];
  },
};

function leaderOf(term) {
  if (term.leader !== null) return `Server ${term.leader}`;
  return h("span", { class: "quiet" }, term.ended_at_ms === null ? "not yet" : "nobody");
}

function lasted(term, now) {
  if (term.ended_at_ms !== null) return duration(term.ended_at_ms - term.began_at_ms);
  return `${duration(now - term.began_at_ms)} so far`;
}

/** The terms as a band, the oldest on the left. Its parts are as wide as the terms are long, on a
 * scale that keeps short ones visible. */
function band(items, now) {
  const shown = items.slice(0, BAND_TERMS_MAX).reverse();
  return h(
    "ol",
    { class: "band", "aria-label": "The last terms, the oldest first" },
    widths(shown.map((term) => Math.max(0, (term.ended_at_ms ?? now) - term.began_at_ms))).map(
      (width, index) => {
        const term = shown[index];
        const who = term.leader === null ? "nobody led" : `server ${term.leader} led`;
        const length = duration((term.ended_at_ms ?? now) - term.began_at_ms);
        return h(
          "li",
          {
            key: term.term,
            class: bandClass(term),
            title: `Term ${term.term}: ${who}, ${length}`,
            style: { "flex-grow": String(width) },
          },
          h("span", { class: "band-label" }, term.leader === null ? "none" : String(term.leader)),
          h("span", { class: "hidden" }, `Term ${term.term}: ${who} for ${length}.`),
        );
      },
    ),
  );
}

function bandClass(term) {
  if (term.leader === null) return "band-none";
  return term.ended_at_ms === null ? "band-now" : "band-past";
}

/** The parts of a band for durations: by their square roots, so that a minute beside a week is
 * still seen. */
export function widths(durations) {
  const roots = durations.map(Math.sqrt);
  const sum = roots.reduce((total, root) => total + root, 0) || 1;
  return roots.map((root) => Math.max(PART_MIN, root / sum));
}
