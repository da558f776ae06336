// The view that answers within ten seconds: who leads, who is behind and why, and how it goes.

import { followersIn, within } from "./cluster.js";
import { behind, bytes, count, duration, isNumber, latency, moment, short } from "./format.js";
import { choice, facts, memberName, roleOf, table } from "./parts.js";
import { plot } from "./plot.js";
import { h } from "./vdom.js";
import { isOutOfStep, judge, whyBehind } from "./verdict.js";

const WINDOWS = [
  ["60000", "1 min"],
  ["300000", "5 min"],
  ["600000", "10 min"],
];
/** A member that lacks so many entries fills its bar. */
const BAR_ENTRIES = 10_000;

export const overview = {
  title: "Overview",
  draw(app) {
    const { state, terms, samples } = app.cluster;
    if (state === null) return [verdict(judge(null))];
    return [
      verdict(app.cluster.isLive ? judge(state, terms) : asOf(state, judge(state, terms))),
      h("section", { "aria-label": "Figures of the cluster" }, figures(state, samples)),
      h(
        "section",
        { "aria-labelledby": "servers-title" },
        h("h2", { id: "servers-title" }, "Servers"),
        servers(state),
      ),
      h(
        "section",
        { "aria-labelledby": "plots-title" },
        h(
          "div",
          { class: "section-head" },
          h("h2", { id: "plots-title" }, `Measured by server ${state.server}`),
          leaderLink(state),
          choice("Time that the plots show", "window", WINDOWS, String(app.windowMs), (value) => {
            app.windowMs = Number(value);
            app.draw();
          }),
        ),
        h("div", { class: "plots" }, plots(app)),
      ),
    ];
  },
};

/** A verdict that may not be true any more, because the server does not answer. */
function asOf(state, { title, detail, points }) {
  const at = moment(state.at_ms, state.at_ms);
  const when = `As of ${at}, when server ${state.server} answered last. `;
  return { level: "unknown", title, detail: when + detail, points };
}

function verdict({ level, title, detail, points }) {
  return h(
    "section",
    { class: `verdict verdict-${level}`, "aria-label": "State of the cluster" },
    h("h1", null, title),
    detail && h("p", { class: "verdict-detail" }, detail),
    points.length > 0 &&
      h(
        "ul",
        { class: "points" },
        points.map((point, index) =>
          h(
            "li",
            { key: `${index}-${point.member}`, class: `point point-${point.level}` },
            h(
              "span",
              { class: "point-word" },
              { bad: "Act", warn: "Look", info: "Note" }[point.level],
            ),
            h(
              "span",
              null,
              point.member !== null &&
                h("a", { href: `#/servers?id=${point.member}` }, `Server ${point.member}`),
              point.member !== null && ": ",
              point.text,
            ),
          ),
        ),
      ),
  );
}

function figures(state, samples) {
  const known =
    state.members.find((member) => member.id === state.leader)?.report ??
    state.members.find((member) => member.id === state.server)?.report;
  const last = samples.at(-1);
  return facts(
    [
      ["Leader", state.leader === null ? "none" : `Server ${state.leader}`],
      [
        "Term",
        state.leader === null
          ? count(state.term)
          : `${count(state.term)}, for ${duration(state.leader_age_ms)}`,
      ],
      ["Entries committed", `${short(last?.committed_per_second)} /s`],
      ["Write latency, 99 %", latency(known?.commit_p99_ms)],
      ["Keys", count(known?.keys)],
      ["Revision", count(known?.revision)],
      ["Store", bytes(known?.store_bytes)],
    ],
    "facts facts-row",
  );
}

function servers(state) {
  const columns = [
    {
      title: "Server",
      cell: (member) => [
        h("a", { href: `#/servers?id=${member.id}` }, memberName(state, member)),
        member.id === state.server && h("span", { class: "tag" }, "this page"),
      ],
    },
    { title: "Role", cell: (member) => roleOf(state, member) },
    { title: "Entries behind", class: "number", cell: lag },
    {
      title: "Why",
      class: "wide",
      cell: (member) => (isOutOfStep(member) ? reason(member) : quiet(state, member)),
    },
    {
      title: "Writes /s",
      class: "number",
      cell: (member) => short(fresh(member)?.writes_per_second),
    },
    {
      title: "Reads /s",
      class: "number",
      cell: (member) => short(fresh(member)?.reads_per_second),
    },
    { title: "Sync 99 %", class: "number", cell: (member) => latency(fresh(member)?.fsync_p99_ms) },
    { title: "Log", class: "number", cell: (member) => bytes(fresh(member)?.log_bytes) },
    {
      title: "Disk free",
      class: "number",
      cell: (member) => bytes(fresh(member)?.disk_free_bytes),
    },
    { title: "Memory", class: "number", cell: (member) => bytes(fresh(member)?.resident_bytes) },
    {
      title: "Up",
      class: "number",
      cell: (member) => {
        const seconds = fresh(member)?.uptime_seconds;
        return duration(isNumber(seconds) ? seconds * 1000 : null);
      },
    },
  ];
  return table({
    caption: "The servers of the cluster",
    columns,
    rows: state.members,
    keyOf: (member) => member.id,
    rowClass: (member) => (member.id === state.leader ? "is-leader" : null),
  });
}

/** What a member said of itself, unless that is old. */
function fresh(member) {
  return member.report_age_ms !== null && member.report_age_ms < 5_000 && !member.report_error
    ? member.report
    : null;
}

function lag(member) {
  const part = Math.min(1, (member.behind_entries ?? 0) / BAR_ENTRIES);
  return h(
    "span",
    { class: "lag" },
    part > 0.002 &&
      h(
        "span",
        { class: "bar", "aria-hidden": "true" },
        h("span", { class: "bar-fill", style: { width: `${Math.round(part * 100)}%` } }),
      ),
    h("span", null, behind(member.behind_entries, member.behind_ms)),
  );
}

function reason(member) {
  const { snapshot } = member;
  const progress = snapshot && ` ${bytes(snapshot.received_bytes)} of ${bytes(snapshot.bytes)}.`;
  return h("span", { class: "reason" }, whyBehind(member), progress);
}

function quiet(state, member) {
  const isKnown = state.leader !== null && member.state !== "unknown";
  const unknown = state.leader === null ? "not known without a leader" : "not known";
  const text = isKnown ? (member.cause_text ?? "in step") : (member.report_error ?? unknown);
  return h("span", { class: "quiet" }, text);
}

function plots(app) {
  const { windowMs, cursor } = app;
  const samples = within(app.cluster.samples, windowMs);
  const at = (field) => (sample) => sample[field];
  const common = { samples, windowMs, cursor };
  const rate = (value) => `${short(value)} /s`;
  return [
    plot({
      ...common,
      title: "Commands",
      format: rate,
      series: [
        { name: "writes", value: at("writes_per_second"), look: "main" },
        { name: "reads", value: at("reads_per_second"), look: "second" },
        { name: "failures", value: at("failures_per_second"), look: "bad" },
      ],
    }),
    plot({
      ...common,
      title: "Write latency",
      format: latency,
      series: [
        { name: "99 %", value: at("commit_p99_ms"), look: "main" },
        { name: "50 %", value: at("commit_p50_ms"), look: "second" },
      ],
    }),
    plot({
      ...common,
      title: "Read latency",
      format: latency,
      series: [
        { name: "99 %", value: at("read_p99_ms"), look: "main" },
        { name: "50 %", value: at("read_p50_ms"), look: "second" },
      ],
    }),
    lagPlot(common, app.cluster.state),
    plot({
      ...common,
      title: "Disk and main thread",
      format: latency,
      series: [
        { name: "sync 99 %", value: at("fsync_p99_ms"), look: "main" },
        { name: "sync 50 %", value: at("fsync_p50_ms"), look: "second" },
        { name: "longest turn", value: at("turn_max_ms"), look: "third" },
      ],
    }),
    plot({
      ...common,
      title: "Files",
      format: bytes,
      axis: { isBytes: true, least: 1024 },
      series: [
        { name: "log", value: at("log_bytes"), look: "main" },
        { name: "snapshots", value: at("snapshot_bytes"), look: "second" },
      ],
    }),
    plot({
      ...common,
      title: "Memory",
      format: bytes,
      axis: { isBytes: true, least: 1024 },
      series: [
        { name: "process", value: at("resident_bytes"), look: "main" },
        { name: "store", value: at("store_bytes"), look: "second" },
        { name: "history", value: at("history_bytes"), look: "third" },
      ],
    }),
    plot({
      ...common,
      title: "Waiting",
      format: short,
      series: [{ name: "writes for their commit", value: at("proposals_pending"), look: "main" }],
    }),
    plot({
      ...common,
      title: "Clients",
      format: short,
      series: [
        { name: "connections", value: at("sessions"), look: "main" },
        { name: "watches", value: at("watches"), look: "second" },
      ],
    }),
  ];
}

/** The leader measures what its followers cannot: commits of all, and who is behind. */
function leaderLink({ server, leader, members }) {
  const address = members.find((member) => member.id === leader)?.http_address;
  if (server === leader || !address) return null;
  const href = `http://${address}/#/overview`;
  return h(
    "a",
    { class: "quiet-link", href, rel: "noreferrer" },
    `The leader's page: server ${leader}`,
  );
}

function lagPlot(common, state) {
  const ids = followersIn(common.samples);
  const last = common.samples.at(-1);
  const lagOf = (id) => last?.behind?.[id] ?? 0;
  const worst = ids.reduce((one, other) => (lagOf(other) > lagOf(one) ? other : one), ids[0]);
  const series = ids.map((id) => ({
    name: `server ${id}`,
    value: (sample) => sample.behind?.[id] ?? null,
    look: id === worst ? "main" : "rest",
  }));
  const note =
    ids.length === 0 && state.leader !== null
      ? "Measured by the leader: open its page to see this plot."
      : null;
  return plot({
    ...common,
    title: "Entries behind",
    format: short,
    axis: { least: 10 },
    series,
    note,
  });
}
