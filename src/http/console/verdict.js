// What a person has to know first: one sentence about the whole cluster, and a line for each thing
// that is not as it should be. The rules are here, and nothing else is.

import { behind, bytes, count, duration, latency, list, percent, plural } from "./format.js";

/** A sync of the log that takes longer makes each write slow. */
const FSYNC_SLOW_MS = 100;
/** A part of a disk or of a limit that may be used before the page says so. */
const FULL_PART = 0.9;
/** Wall clocks may differ by this much. */
const CLOCKS_DIFFER_MS = 2_000;
/** So many elections in so long are too many. */
const ELECTIONS_MAX = 3;
const ELECTIONS_WINDOW_MS = 600_000;
/** An http port may be silent for this long. */
const REPORT_OLD_MS = 5_000;

const LEVELS = ["ok", "info", "warn", "bad"];

/** The verdict: `level` is `ok`, `warn`, `bad` or `unknown`; `title` and `detail` are sentences;
 * `points` are what to look at, the worst first: `{level, member, text}`. */
export function judge(state, terms = []) {
  if (state === null) {
    return { level: "unknown", title: "Waiting for the server.", detail: "", points: [] };
  }
  const points = [
    ...state.members.flatMap((member) => memberPoints(state, member)),
    ...clockPoints(state),
    ...electionPoints(state, terms),
    ...changePoints(state),
  ].sort((one, other) => LEVELS.indexOf(other.level) - LEVELS.indexOf(one.level));
  const { level, detail } = quorum(state);
  const levels = [level, ...points.map((point) => point.level)].map((it) =>
    it === "info" ? "ok" : it,
  );
  const worst = Math.max(...levels.map((it) => LEVELS.indexOf(it)));
  return { level: LEVELS[worst], title: titleOf(state), detail, points };
}

function titleOf(state) {
  const members = state.members.length;
  if (state.leader === null) {
    const age = state.leader_age_ms;
    return age === null ? "No server leads." : `No server has led for ${duration(age)}.`;
  }
  const leads = `Server ${state.leader} leads`;
  const lagging = state.members.filter((member) => isOutOfStep(member));
  if (lagging.length === 0) {
    return members === 1 ? `${leads}.` : `${leads}, and all ${members} servers are in step.`;
  }
  const unseen = lagging.filter((member) => member.state === "unseen");
  const others = lagging.filter((member) => member.state !== "unseen");
  const clauses = [];
  if (unseen.length > 0) clauses.push(`${named(unseen)} not heard`);
  if (others.length > 0) clauses.push(`${named(others)} not in step`);
  return `${leads}; ${clauses.join(", ")}.`;
}

/** Whether writes go on, and for how long they will: what decides about all else. */
function quorum(state) {
  const { leader, voters, needed, here, can_lose: spare } = state;
  if (leader === null) {
    const answering = state.members.filter(
      (member) => member.kind !== "learner" && answers(state, member),
    ).length;
    return {
      level: "bad",
      detail:
        `Nothing can be written until one is elected. ${count(needed)} of ` +
        `${plural(voters, "voter")} are needed; ${count(answering)} answer server ${state.server}.`,
    };
  }
  if (spare === null) {
    return {
      level: "warn",
      detail:
        `The leader does not answer server ${state.server}: what is known of the others ` +
        `is ${duration(state.members_age_ms)} old, and comes from server ${state.members_from}.`,
    };
  }
  if (spare < 0) {
    return {
      level: "bad",
      detail:
        `Writes have stopped: ${count(here)} of ${plural(voters, "voter")} are here, and ` +
        `${count(needed)} are needed. Start one of the missing servers.`,
    };
  }
  if (spare === 0) {
    return voters < 3
      ? {
          level: "ok",
          detail:
            voters === 1
              ? "It is the only voter: nothing may fail."
              : "Both voters are needed: none may fail.",
        }
      : { level: "warn", detail: "One more failure stops all writes." };
  }
  return {
    level: "ok",
    detail: `${plural(spare, "voter")} of ${count(voters)} may fail before writes stop.`,
  };
}

/** True when a member answers the server of this page. */
export function answers(state, member) {
  return (
    member.id === state.server || (member.report !== null && !member.report_error && !isOld(member))
  );
}

function memberPoints(state, member) {
  const points = [];
  const add = (level, text) => points.push(point(level, member.id, text));
  if (isOutOfStep(member)) add(member.kind === "learner" ? "info" : "warn", whyBehind(member));
  if (member.state === "draining") add("info", "It is drained: it will not lead.");
  const { report } = member;
  if (member.report_error && (state.leader === null || isHeard(state, member)))
    add("warn", member.report_error);
  if (report === null || isOld(member)) return points;
  if (report.removed_at_index !== null)
    add("info", `It was removed (entry ${count(report.removed_at_index)}).`);
  if (!report.live) add("bad", `It makes no progress. ${failedChecks(report)}`);
  else if (!report.ready && !isOutOfStep(member) && hasQuorum(state))
    add("warn", `It is not ready. ${failedChecks(report)}`);
  if (report.fsync_p99_ms > FSYNC_SLOW_MS) {
    add("warn", `Its disk is slow: 1 of 100 syncs takes over ${latency(report.fsync_p99_ms)}.`);
  }
  return [...points, ...fullPoints(member.id, report)];
}

/** Why a member is not in step, in one line. */
export function whyBehind(member) {
  const seen = member.seen_age_ms === null ? "" : ` for ${duration(member.seen_age_ms)}`;
  const fact =
    member.state === "unseen"
      ? `The leader has not heard it${seen}.`
      : member.behind_entries === null
        ? "How far it is behind is not known."
        : member.behind_entries === 0
          ? ""
          : `It is ${behind(member.behind_entries, member.behind_ms, " entries")} behind.`;
  // The leader's own sentence about a member that it does not hear says the same again.
  const cause = member.cause === "unseen" && fact !== "" ? "" : (member.cause_text ?? "");
  return [fact, cause].filter((it) => it !== "").join(" ");
}

function fullPoints(id, report) {
  const points = [];
  const check = (what, used, whole) => {
    if (whole > 0 && used !== null && used / whole > FULL_PART) {
      points.push(
        point(
          "warn",
          id,
          `${what}: ${bytes(used)} of ${bytes(whole)} (${percent(used, whole)}) are used.`,
        ),
      );
    }
  };
  const diskUsed =
    report.disk_free_bytes === null ? null : report.disk_bytes - report.disk_free_bytes;
  check("Its disk fills", diskUsed, report.disk_bytes);
  check("Its store fills", report.store_bytes, report.store_bytes_max);
  check("Its memory for clients fills", report.memory_bytes_used, report.memory_bytes_max);
  return points;
}

function clockPoints(state) {
  const own = memberOfSelf(state)?.report;
  if (!own) return [];
  return state.members.flatMap((member) => {
    const offset = clockOffset(state, member);
    if (offset === null || Math.abs(offset) < CLOCKS_DIFFER_MS) return [];
    const direction = offset > 0 ? "ahead of" : "behind";
    return [
      point(
        "info",
        member.id,
        `Its wall clock is ${duration(Math.abs(offset))} ${direction} that of ` +
          `server ${state.server}. Nothing depends on it.`,
      ),
    ];
  });
}

/** By how many milliseconds the wall clock of a member is ahead of the answering server's. */
export function clockOffset(state, member) {
  if (member.report === null || member.report_age_ms === null || isOld(member)) return null;
  return member.report.at_ms + member.report_age_ms - state.at_ms;
}

function electionPoints(state, terms) {
  const recent = terms.filter(
    (term) =>
      term.began_at_ms > state.at_ms - ELECTIONS_WINDOW_MS &&
      term.cause !== "start" &&
      term.cause !== "transfer",
  );
  if (recent.length < ELECTIONS_MAX) return [];
  return [
    point(
      "warn",
      null,
      `${plural(recent.length, "election")} in the last ` +
        `${duration(ELECTIONS_WINDOW_MS)}: see Terms for the causes.`,
    ),
  ];
}

function changePoints(state) {
  if (state.change === null) return [];
  const { number, what, age_ms: age, waits_for: waits } = state.change;
  const running = age === null ? "" : ` for ${duration(age)}`;
  const waiting = waits ? ` It waits for: ${waits}.` : "";
  return [point("info", null, `Change ${number} (${what}) runs${running}.${waiting}`)];
}

/** True when a member lacks something that it should have. */
export function isOutOfStep(member) {
  return ["unseen", "catching", "rejoining"].includes(member.state);
}

/** Without a quorum no server is ready, and each of them would say so. */
function hasQuorum(state) {
  return state.leader !== null && (state.can_lose ?? 0) >= 0;
}

function isHeard(state, member) {
  return member.id !== state.server && member.state !== "unseen" && member.state !== "unknown";
}

function isOld(member) {
  return member.report_age_ms === null || member.report_age_ms > REPORT_OLD_MS;
}

function memberOfSelf(state) {
  return state.members.find((member) => member.id === state.server);
}

function failedChecks(report) {
  return report.checks
    .filter((check) => !check.ok)
    .map((check) => check.text)
    .join(" ");
}

function named(members) {
  const ids = list(members.map((member) => String(member.id)));
  return members.length === 1 ? `server ${ids} is` : `servers ${ids} are`;
}

function point(level, member, text) {
  return { level, member, text };
}
