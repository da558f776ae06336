import assert from "node:assert/strict";
import { test } from "node:test";

import { ApiError } from "../../../src/http/console/api.js";
import { fromText, toBase64 } from "../../../src/http/console/bytes.js";
import { KeyList } from "../../../src/http/console/key_list.js";
import { faultOfKey } from "../../../src/http/console/new_key.js";
import { OpenKey } from "../../../src/http/console/open_key.js";
import { CHANGES_MAX, WatchLog } from "../../../src/http/console/watch_log.js";
import { FakeApi, later } from "./fakes.mjs";

const base64 = (text) => toBase64(fromText(text));
const item = (name) => ({ key: base64(name), mod_revision: 2, value: "", value_bytes: 0 });
const record = (text, revision) => ({
  revision,
  key: base64("a"),
  found: true,
  create_revision: 2,
  mod_revision: revision,
  version: 1,
  lease: null,
  expires_s: 0,
  value_bytes: text.length,
  value: base64(text),
  truncated: false,
});
const change = (text, revision, changes = {}) => ({
  ...record(text, revision),
  kind: "set",
  ...changes,
});

// The list.

test("the pages of a list are of one moment", async () => {
  const pages = [
    { revision: 9, keys: [item("a"), item("b")], more: true },
    { revision: 9, keys: [item("c")], more: false },
  ];
  const api = new FakeApi({ "GET /keys": () => pages.shift() });
  const list = new KeyList(api, () => {});
  list.prefix = "";
  await list.load(false);
  await list.load(true);
  assert.equal(list.keys.length, 3);
  assert.equal(api.asked[1][1].after, "Yg");
  assert.equal(api.asked[1][1].at, 9);
});

test("the answer for an older prefix never takes the place of a newer one", async () => {
  const slow = later();
  const api = new FakeApi({
    "GET /keys": ({ prefix }) =>
      prefix === "YQ" ? slow.promise : { revision: 2, keys: [item("b")], more: false },
  });
  const list = new KeyList(api, () => {});
  list.show(base64("a"));
  list.show(base64("b"));
  await new Promise(setImmediate);
  slow.resolve({ revision: 1, keys: [item("a"), item("aa")], more: false });
  await new Promise(setImmediate);
  assert.deepEqual(
    list.keys.map(({ key }) => key),
    [base64("b")],
  );
});

test("changes keep the list true", () => {
  const list = new KeyList(new FakeApi(), () => {});
  list.prefix = "";
  list.keys = [item("a"), item("b")];
  list.take({ key: base64("a"), kind: "deleted" });
  list.take({ key: base64("b"), kind: "set", mod_revision: 7, value: base64("new") });
  assert.deepEqual(
    list.keys.map(({ mod_revision: revision }) => revision),
    [7],
  );
});

test("a new key is put in its place, unless it belongs to a later page", () => {
  const list = new KeyList(new FakeApi(), () => {});
  const take = (name) => list.take({ key: base64(name), kind: "set", mod_revision: 7, value: "" });
  const names = () => list.keys.map(({ key }) => atob(key)).join(" ");
  list.prefix = base64("k");
  list.keys = [item("k1"), item("k3")];
  list.hasMore = true;
  ["k2", "k9", "elsewhere"].forEach(take);
  assert.equal(names(), "k1 k2 k3");
  list.hasMore = false;
  ["k9", "k"].forEach(take);
  assert.equal(names(), "k k1 k2 k3 k9");
});

test("what is wrong with a new key is told before it is sent", () => {
  assert.equal(faultOfKey("config/größe"), null);
  assert.match(faultOfKey(""), /one byte/);
  assert.match(faultOfKey("a b"), /no spaces/);
  assert.match(faultOfKey("a\\x00"), /control/);
  assert.match(faultOfKey("ü".repeat(126)), /has 252 bytes; the most is 250/);
});

// The watch.

function watching() {
  const streams = [];
  const log = new WatchLog({
    onUpdate: () => {},
    open: (options) => {
      const stream = {
        ...options,
        isOpen: true,
        close: () => {
          stream.isOpen = false;
        },
      };
      streams.push(stream);
      return stream;
    },
  });
  return { log, streams };
}

test("a watch that was interrupted goes on behind the last revision that it saw", () => {
  const { log, streams } = watching();
  log.start({ prefix: base64("a") });
  const { url, handlers } = streams[0];
  assert.equal(url(), "/console/v1/watch?prefix=YQ");
  handlers.watching({ revision: 10 });
  assert.match(url(), /from=11/);
  handlers.changes({ revision: 12, changes: [change("x", 12)], left_out: 0 });
  assert.match(url(), /from=13/);
});

test("a change that comes again after an interruption is counted once", () => {
  const { log, streams } = watching();
  log.start({ prefix: "" }, 5);
  const { handlers } = streams[0];
  handlers.changes({ revision: 5, changes: [change("x", 5)], left_out: 2 });
  handlers.changes({ revision: 5, changes: [change("x", 5)], left_out: 2 });
  assert.equal(log.seen, 3);
  assert.equal(log.dropped, 2);
  assert.equal(log.changes.length, 1);
});

test("the log has a bound, and says how much it left out", () => {
  const { log, streams } = watching();
  log.start({ prefix: "" }, 1);
  for (let revision = 1; revision <= CHANGES_MAX + 10; revision += 1) {
    streams[0].handlers.changes({ revision, changes: [change("x", revision)], left_out: 0 });
  }
  assert.equal(log.changes.length, CHANGES_MAX);
  assert.equal(log.changes[0].mod_revision, CHANGES_MAX + 10);
  assert.equal(log.dropped, 10);
});

test("a watch of the compacted past ends, and is not tried again", () => {
  const { log, streams } = watching();
  log.start({ prefix: "" }, 1);
  streams[0].handlers.ended({ code: "compacted", text: "…", compacted_revision: 9 });
  assert.equal(streams[0].isOpen, false);
  assert.equal(log.ended.compacted_revision, 9);
});

// The open key.

function opened(answers = {}) {
  const said = [];
  const api = new FakeApi({ "GET /key": () => record("old", 40), ...answers });
  const watch = {
    start: (...given) => {
      watch.started = given;
    },
    stop() {},
  };
  const key = new OpenKey({ api, watch, onChange: () => {}, say: (text) => said.push(text) });
  return { api, key, said, watch };
}

test("an open key is watched from the revision of its answer on", async () => {
  const { key, watch } = opened();
  await key.open(base64("a"));
  assert.deepEqual(watch.started, [{ key: base64("a") }, 41]);
});

test("what somebody else writes during an edit is a conflict before anything is sent", async () => {
  const { api, key } = opened();
  await key.open(base64("a"));
  key.beginEdit();
  key.change((edit) => ({ ...edit, text: "mine" }));
  await key.take([change("theirs", 41)]);
  assert.equal(key.edit.status, "conflict");
  assert.equal(key.edit.text, "mine");
  assert.equal(api.asked.filter(([name]) => name === "POST /put").length, 0);
});

test("a lost race shows the other value, and the next save names its revision", async () => {
  const theirs = record("theirs", 41);
  const refused = () => {
    throw new ApiError("conflict", "…", { error: {}, current: theirs });
  };
  const puts = [refused, () => ({ revision: 42, mod_revision: 42 })];
  let now = record("old", 40);
  const { api, key, said } = opened({
    "GET /key": () => now,
    "POST /put": (body) => puts.shift()(body),
  });
  await key.open(base64("a"));
  key.beginEdit();
  key.change((edit) => ({ ...edit, text: "mine" }));
  now = theirs;
  await key.save();
  assert.equal(key.edit.status, "conflict");
  assert.equal(key.edit.theirs.value, base64("theirs"));
  key.rebase();
  await key.save();
  const sent = api.asked
    .filter(([name]) => name === "POST /put")
    .map(([, body]) => [body.mod_revision, body.value]);
  assert.deepEqual(sent, [
    [40, base64("mine")],
    [41, base64("mine")],
  ]);
  assert.equal(key.edit, null);
  assert.deepEqual(said, ["Saved as revision 42."]);
});

test("a save without an answer is looked up, and never sent again by itself", async () => {
  let now = record("old", 40);
  const { api, key, said } = opened({
    "GET /key": () => now,
    "POST /put": () => {
      now = record("mine", 41);
      throw new ApiError("timeout", "Not answered.", { error: { may_have_executed: true } }, true);
    },
  });
  await key.open(base64("a"));
  key.beginEdit();
  key.change((edit) => ({ ...edit, text: "mine" }));
  await key.save();
  assert.equal(key.edit, null);
  assert.match(said[0], /was saved all the same, as revision 41/);
  assert.equal(api.asked.filter(([name]) => name === "POST /put").length, 1);
});

test("an own save that comes back by the watch is no conflict", async () => {
  const answer = later();
  const { key } = opened({ "POST /put": () => answer.promise });
  await key.open(base64("a"));
  key.beginEdit();
  key.change((edit) => ({ ...edit, text: "mine" }));
  const saving = key.save();
  await key.take([change("mine", 41)]);
  assert.equal(key.edit.status, "saving");
  answer.resolve({ revision: 41, mod_revision: 41 });
  await saving;
  assert.equal(key.edit, null);
});

test("a deletion by somebody else is a conflict that can become a creation", async () => {
  const { key } = opened();
  await key.open(base64("a"));
  key.beginEdit();
  key.change((edit) => ({ ...edit, text: "mine" }));
  await key.take([change("", 41, { kind: "deleted", value: null })]);
  assert.equal(key.edit.status, "conflict");
  assert.equal(key.edit.theirs.found, false);
  key.rebase();
  assert.equal(key.edit.base.mod_revision, 0);
});

test("an answer for a key that is no longer open is dropped", async () => {
  const slow = later();
  const { key } = opened({
    "GET /key": ({ key: asked }) => (asked === "YQ" ? slow.promise : record("b", 7)),
  });
  const first = key.open(base64("a"));
  await key.open(base64("b"));
  slow.resolve(record("a", 9));
  await first;
  assert.equal(key.current.mod_revision, 7);
});
