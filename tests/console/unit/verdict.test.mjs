import assert from "node:assert/strict";
import { test } from "node:test";

import { judge, whyBehind } from "../../../src/http/console/verdict.js";
import { member, report, state } from "./samples.mjs";

const texts = (verdict) => verdict.points.map(({ text }) => text.replaceAll("\u00a0", " "));

test("a cluster that is well needs one sentence", () => {
  const verdict = judge(state());
  assert.equal(verdict.level, "ok");
  assert.equal(verdict.title, "Server 3 leads, and all 5 servers are in step.");
  assert.equal(verdict.detail, "2 voters of 5 may fail before writes stop.");
  assert.deepEqual(verdict.points, []);
});

test("nothing is claimed before the server has spoken", () => {
  assert.equal(judge(null).level, "unknown");
});

test("no leader is the worst, and is told first", () => {
  const verdict = judge(
    state({
      leader: null,
      leader_age_ms: 4000,
      here: null,
      can_lose: null,
      change: { number: 1, what: "add 6", age_ms: 1, waits_for: null },
    }),
  );
  assert.equal(verdict.level, "bad");
  assert.match(verdict.title, /^No server has led for 4.s\.$/);
  assert.equal(
    verdict.detail,
    "Nothing can be written until one is elected. 3 of 5 voters are needed; 5 answer server 1.",
  );
});

test("without a leader it is told who does not answer, and not that none is ready", () => {
  const notReady = {
    state: "unknown",
    behind_entries: null,
    report: report(2, {
      ready: false,
      checks: [{ name: "leader", ok: false, text: "No leader." }],
    }),
  };
  const dead = { ...notReady, report_error: "127.0.0.1:9103 refused the connection." };
  const verdict = judge(
    state({ leader: null, here: null, can_lose: null }, { 2: notReady, 4: dead, 5: dead }),
  );
  assert.deepEqual(
    verdict.points.map(({ member, text }) => [member, text]),
    [4, 5].map((id) => [id, "127.0.0.1:9103 refused the connection."]),
  );
  assert.match(verdict.detail, /3 answer server 1\.$/);
});

test("a member that is behind is named, with why", () => {
  const lagging = {
    state: "catching",
    behind_entries: 10_400,
    behind_ms: 3000,
    cause: "snapshot",
    cause_text: "It is sent a snapshot.",
  };
  const verdict = judge(state({}, { 5: lagging }));
  assert.equal(verdict.level, "warn");
  assert.equal(verdict.title, "Server 3 leads; server 5 is not in step.");
  assert.equal(verdict.points[0].member, 5);
  assert.deepEqual(texts(verdict), ["It is 10,400 entries (3 s) behind. It is sent a snapshot."]);
});

test("a member that nobody hears is behind by an unknown number, never by 0", () => {
  const unseen = member(5, {
    state: "unseen",
    seen_age_ms: 240_000,
    behind_entries: null,
    behind_ms: null,
    cause: "unseen",
    cause_text: "The leader does not hear it.",
  });
  assert.equal(
    whyBehind(unseen).replaceAll("\u00a0", " "),
    "The leader has not heard it for 4 min.",
  );
  const cut = member(5, { state: "catching", behind_entries: null, behind_ms: null });
  assert.match(whyBehind(cut), /not known/);
});

test("several members are one sentence", () => {
  const unseen = { state: "unseen", behind_entries: null };
  const verdict = judge(state({ here: 3, can_lose: 0 }, { 4: unseen, 5: unseen }));
  assert.equal(verdict.title, "Server 3 leads; servers 4 and 5 are not heard.");
  assert.equal(verdict.detail, "One more failure stops all writes.");
});

test("too few voters are told as such, though one still leads", () => {
  const verdict = judge(state({ here: 2, can_lose: -1 }));
  assert.equal(verdict.level, "bad");
  assert.match(
    verdict.detail,
    /Writes have stopped: 2 of 5 voters are here, and 3 are needed\. Start one/,
  );
});

test("a single server is not told that its failure stops all writes as a warning", () => {
  const single = {
    ...state({ voters: 1, needed: 1, here: 1, can_lose: 0, leader: 1 }),
    members: [member(1, { state: "leader" })],
  };
  assert.equal(judge(single).level, "ok");
});

test("knowledge that is not the leader's is marked", () => {
  const verdict = judge(
    state({ here: null, can_lose: null, members_from: 1, members_age_ms: 9000 }),
  );
  assert.equal(verdict.level, "warn");
  assert.match(verdict.detail, /is 9.s old, and comes from server 1\./);
});

test("a full disk, a slow disk and a failed check are told of the member", () => {
  const full = report(2, { disk_free_bytes: 5 });
  const slow = report(4, { fsync_p99_ms: 240 });
  const notReady = report(5, {
    ready: false,
    checks: [{ name: "apply", ok: false, text: "It applies nothing." }],
  });
  const verdict = judge(
    state({}, { 2: { report: full }, 4: { report: slow }, 5: { report: notReady } }),
  );
  assert.deepEqual(
    verdict.points.map((point) => point.member),
    [2, 4, 5],
  );
  assert.match(texts(verdict)[0], /disk fills: 95 B of 100 B/);
  assert.match(texts(verdict)[2], /It applies nothing\./);
});

test("what a member told long ago is not judged", () => {
  const old = { report: report(2, { disk_free_bytes: 1 }), report_age_ms: 60_000 };
  assert.deepEqual(judge(state({}, { 2: old })).points, []);
});

test("a learner that catches up, a change and a wrong clock are no reason to worry", () => {
  const learner = { kind: "learner", state: "catching", behind_entries: 2000 };
  const wrong = { report: report(4, { at_ms: 1_780_000_009_000 }) };
  const verdict = judge(
    state(
      { change: { number: 17, what: "add 5 as a voter", age_ms: 12_000, waits_for: "snapshot" } },
      { 4: wrong, 5: learner },
    ),
  );
  assert.equal(verdict.level, "ok");
  assert.equal(verdict.points.length, 3);
  assert.match(texts(verdict).join(" "), /9 s ahead of that of server 1/);
});

test("many elections are told, and transfers do not count", () => {
  const term = (number, cause) => ({
    term: number,
    leader: 1,
    began_at_ms: 1_780_000_000_000 - number * 1000,
    cause,
  });
  const three = [1, 2, 3].map((number) => term(number, "timeout"));
  assert.equal(judge(state(), three).level, "warn");
  assert.equal(judge(state(), [...three.slice(1), term(4, "transfer")]).level, "ok");
});
