// The view of the servers one by one, and what an operator does with them.

import { ask } from "./dialog.js";
import { behind, bytes, count, duration, latency, moment, percent, plural } from "./format.js";
import { button, facts, memberName, notice, roleOf } from "./parts.js";
import { h } from "./vdom.js";
import { clockOffset, isOutOfStep, whyBehind } from "./verdict.js";

export const servers = {
  title: "Servers",
  /** A link to one server scrolls to it. */
  enter(app) {
    const { id } = app.place.params;
    if (id)
      requestAnimationFrame(() =>
        document.getElementById(`server-${id}`)?.scrollIntoView({ block: "nearest" }),
      );
  },
  draw(app) {
    const { state } = app.cluster;
    if (state === null)
      return [h("h1", null, "Servers"), h("p", { class: "empty" }, "Waiting for the server.")];
    return [
      h("h1", null, "Servers"),
      h("p", { class: "lead" }, quorumSentence(state)),
      state.change && change(app, state.change),
      h(
        "div",
        { class: "server-cards" },
        state.members.map((member) => card(app, state, member)),
      ),
      past(state),
    ];
  },
};

function quorumSentence(state) {
  const here = state.here === null ? "an unknown number is here" : `${count(state.here)} are here`;
  const spare =
    state.can_lose === null
      ? ""
      : state.can_lose < 0
        ? " Nothing can be written."
        : ` ${count(state.can_lose)} may fail before writes stop.`;
  return `${count(state.voters)} voters, ${count(state.needed)} are needed, ${here}.${spare}`;
}

function change(app, { number, what, age_ms: age, waits_for: waits }) {
  return notice(
    "info",
    h("strong", null, `Change ${number}: ${what}.`),
    age !== null && ` It runs for ${duration(age)}.`,
    waits && ` It waits for: ${waits}.`,
    " ",
    button("Take it back", () =>
      ask(app, {
        title: `Take change ${number} back?`,
        action: "Take it back",
        body: () => h("p", null, `“${what}” is undone, if its new voter has not caught up yet.`),
        run: async () => {
          await app.api.post("/members/cancel", { change: number });
          return `Change ${number} is taken back.`;
        },
      }),
    ),
  );
}

function card(app, state, member) {
  const isChosen = app.place.params.id === String(member.id);
  const { report } = member;
  return h(
    "article",
    {
      key: member.id,
      id: `server-${member.id}`,
      class: ["card", member.id === state.leader && "is-leader", isChosen && "is-chosen"]
        .filter(Boolean)
        .join(" "),
      "aria-labelledby": `server-title-${member.id}`,
    },
    h(
      "header",
      { class: "card-head" },
      h("h2", { id: `server-title-${member.id}` }, memberName(state, member)),
      h("span", { class: "tag tag-role" }, roleOf(state, member)),
      member.kind !== "voter" && h("span", { class: "tag" }, member.kind),
      member.id === state.server && h("span", { class: "tag" }, "this page"),
    ),
    isOutOfStep(member) && notice("warn", whyBehind(member), snapshotProgress(member)),
    member.report_error && member.state !== "unseen" && notice("warn", member.report_error),
    checks(report),
    facts(position(state, member)),
    report && facts(machine(state, member)),
    report === null && h("p", { class: "quiet" }, "It has told nothing of itself."),
    report !== null &&
      member.report_age_ms > 5_000 &&
      h("p", { class: "quiet" }, `Told ${duration(member.report_age_ms)} ago.`),
    actions(app, state, member),
  );
}

function snapshotProgress({ snapshot }) {
  if (!snapshot) return null;
  const { received_bytes: received, bytes: whole } = snapshot;
  return ` ${bytes(received)} of ${bytes(whole)} (${percent(received, whole)}) are there.`;
}

function checks(report) {
  const failed = report?.checks.filter((check) => !check.ok) ?? [];
  if (failed.length === 0) return null;
  return h(
    "ul",
    { class: "checks" },
    failed.map((check) =>
      h("li", { key: check.name }, h("code", null, check.name), " ", check.text),
    ),
  );
}

function position(state, member) {
  const report = member.report ?? {};
  return [
    [
      "Behind",
      behind(member.behind_entries, member.behind_ms),
      "Log entries that it lacks, against the leader's log",
    ],
    [
      "Heard",
      member.id === state.leader ? "leads" : ago(member.seen_age_ms),
      "When the leader heard it last",
    ],
    ["Last entry", count(report.last_log_index)],
    ["Committed", count(report.commit_index)],
    ["Applied", count(report.last_applied)],
    [
      "Snapshot",
      report.snapshot_index ? count(report.snapshot_index) : "none",
      "The last entry in its newest snapshot",
    ],
  ];
}

function machine(state, member) {
  const { report } = member;
  const offset = clockOffset(state, member);
  return [
    ["Sync 99 %", latency(report.fsync_p99_ms), "1 of 100 syncs of its log takes longer"],
    ["Log", `${bytes(report.log_bytes)} in ${plural(report.log_files, "file")}`],
    [
      "Disk free",
      `${bytes(report.disk_free_bytes)} (${percent(report.disk_free_bytes, report.disk_bytes)})`,
    ],
    ["Memory", bytes(report.resident_bytes)],
    ["Store", limited(report.store_bytes, report.store_bytes_max)],
    ["History", limited(report.history_bytes, report.history_bytes_max)],
    ["Connections", count(report.sessions)],
    ["Watches", count(report.watches)],
    ["Up", duration(report.uptime_seconds * 1000)],
    ["Version", report.version],
    ["Formats", report.formats.join(" to ")],
    [
      "Clock",
      offset === null
        ? "–"
        : Math.abs(offset) < 500
          ? "agrees"
          : `${offset > 0 ? "+" : "−"}${duration(Math.abs(offset))}`,
      "Its wall clock against that of the server of this page",
    ],
    ["Clients", h("code", null, member.client_address ?? "–")],
    ["Servers", h("code", null, member.log_address ?? "–")],
    ["HTTP", httpLink(state, member)],
  ];
}

function httpLink(state, member) {
  if (!member.http_address) return "none";
  if (member.id === state.server) return h("code", null, member.http_address);
  return h(
    "a",
    { href: `http://${member.http_address}/#/servers`, rel: "noreferrer" },
    h("code", null, member.http_address),
  );
}

function limited(used, max) {
  return max > 0 ? `${bytes(used)} of ${bytes(max)}` : bytes(used);
}

function ago(ms) {
  return ms === null ? "–" : `${duration(ms)} ago`;
}

function actions(app, state, member) {
  const canLead =
    member.kind === "voter" &&
    member.id !== state.leader &&
    !isOutOfStep(member) &&
    member.state !== "draining";
  const isBusy = state.change !== null || state.leader === null || !app.cluster.isLive;
  return h(
    "div",
    { class: "card-actions" },
    canLead &&
      button("Make it the leader", () => askTransfer(app, state, member), { disabled: isBusy }),
    member.kind === "learner" &&
      button("Promote", () => askPromote(app, member), { disabled: isBusy }),
    button("Remove", () => askRemove(app, state, member), {
      disabled: isBusy,
      class: "button-quiet",
    }),
  );
}

function askTransfer(app, state, member) {
  ask(app, {
    title: `Make server ${member.id} the leader?`,
    action: "Hand over",
    body: () =>
      h(
        "p",
        null,
        `Server ${state.leader} hands the leadership over. Commands wait meanwhile, for ` +
          "milliseconds as a rule, and none is lost. If server " +
          `${member.id} cannot take over, server ${state.leader} goes on.`,
      ),
    run: async () => {
      const answer = await app.api.post("/members/transfer", { to: member.id });
      return answer.already
        ? `Server ${member.id} leads already.`
        : `Server ${answer.leader} leads in term ${answer.term}.`;
    },
  });
}

function askPromote(app, member) {
  ask(app, {
    title: `Promote server ${member.id} to a voter?`,
    action: "Promote",
    plan: () => app.api.post("/members/promote", { id: member.id, dry_run: true }),
    body: (dialog) => [
      h("p", null, "It gets a vote as soon as it has caught up."),
      planTable(dialog.plan),
    ],
    run: async () =>
      changeSentence(await app.api.post("/members/promote", { id: member.id, dry_run: false })),
  });
}

function askRemove(app, state, member) {
  ask(app, {
    title: `Remove server ${member.id} from the cluster?`,
    action: "Remove",
    isDangerous: true,
    typed: String(member.id),
    plan: () => app.api.post("/members/remove", { id: member.id, dry_run: true }),
    body: (dialog) => [
      h(
        "p",
        null,
        `Its id is never used again: to bring the machine back, add it as a new server. ` +
          (member.id === state.leader ? "It leads now, and hands over first." : ""),
      ),
      planTable(dialog.plan),
    ],
    run: async () =>
      changeSentence(await app.api.post("/members/remove", { id: member.id, dry_run: false })),
  });
}

function changeSentence(answer) {
  return answer.already ? "There was nothing to do." : `Change ${answer.change} has begun.`;
}

/** What a change would make of the numbers that decide whether the cluster goes on. */
function planTable(answer) {
  if (answer === null) return null;
  if (answer.already) return notice("info", "There is nothing to do.");
  const spare = (number) => (number < 0 ? "too few" : count(number));
  const rows = [
    ["Voters", ...answer.plan.voters.map(count)],
    ["Needed", ...answer.plan.needed.map(count)],
    ["Here", ...answer.plan.here.map(count)],
    ["May fail", ...answer.plan.can_lose.map(spare)],
  ];
  return h(
    "table",
    { class: "plan" },
    h(
      "thead",
      null,
      h(
        "tr",
        null,
        ["", "now", "after"].map((text) =>
          h("th", { key: text, scope: "col", class: "number" }, text),
        ),
      ),
    ),
    h(
      "tbody",
      null,
      rows.map(([name, before, after]) =>
        h(
          "tr",
          { key: name },
          h("th", { scope: "row" }, name),
          h("td", { class: "number" }, before),
          h("td", { class: before === after ? "number" : "number is-changed" }, after),
        ),
      ),
    ),
  );
}

function past(state) {
  if (state.ended.length === 0 && state.removed.length === 0) return null;
  return h(
    "section",
    { "aria-labelledby": "past-title" },
    h("h2", { id: "past-title" }, "Changes that ended"),
    h(
      "ul",
      { class: "plain" },
      [...state.ended]
        .reverse()
        .map((it) =>
          h(
            "li",
            { key: `ended-${it.number}` },
            `Change ${it.number}: ${it.what}, `,
            h("span", { class: it.is_done ? null : "quiet" }, it.is_done ? "done" : "taken back"),
          ),
        ),
      state.removed.map((it) =>
        h(
          "li",
          { key: `removed-${it.id}` },
          `Server ${it.id} was removed by entry ${count(it.index)}.`,
        ),
      ),
    ),
    h("p", { class: "quiet" }, `This was known at ${moment(state.at_ms, state.at_ms)}.`),
  );
}
