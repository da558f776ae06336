import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { candidates, findLiving } from "../../../src/http/console/failover.js";
import { Mover } from "../../../src/http/console/mover.js";
import { state } from "./samples.mjs";

test("the leader is the first to go to, and servers that nobody hears are the last", () => {
  const members = { 2: { state: "unseen" }, 4: { http_address: null }, 5: { report: null } };
  const ids = (it) => candidates(it).map(({ id }) => id);
  assert.deepEqual(ids(state({}, members)), [3, 5, 2]);
  assert.deepEqual(ids(state()), [3, 2, 4, 5]);
  assert.deepEqual(candidates(null), []);
});

test("the best of those that answer is taken, not the fastest", async () => {
  const living = new Set(["127.0.0.1:9101", "127.0.0.1:9103"]);
  const target = await findLiving(candidates(state()), async (address) => living.has(address));
  assert.equal(target.id, 2);
  assert.equal(await findLiving(candidates(state()), async () => false), null);
});

function lost({ draft = null, answers = [3] } = {}) {
  mock.timers.enable({ apis: ["setTimeout"] });
  const went = [];
  const find = async (members) => members.find(({ id }) => id === answers[0]) ?? null;
  const mover = new Mover({
    onChange() {},
    draft: () => draft,
    place: () => ({ view: "keys", params: { prefix: "a/" } }),
    theme: () => "dark",
    find,
    go: (url) => went.push(url),
  });
  return { mover, went, answers };
}

test("the page moves on, to the same place, when its server stays silent", async (context) => {
  const { mover, went } = lost();
  context.after(() => mock.timers.reset());
  mover.lose(state(), 1);
  assert.equal(mover.target, null);
  mover.lose(state(), 2);
  await Promise.resolve();
  await Promise.resolve();
  assert.deepEqual(went, []);
  mock.timers.tick(700);
  assert.deepEqual(went, ["http://127.0.0.1:9102/#/keys?prefix=a%2F&moved_from=1&theme=dark"]);
});

test("a server that is heard again keeps its page", async (context) => {
  const { mover, went } = lost();
  context.after(() => mock.timers.reset());
  mover.lose(state(), 2);
  await Promise.resolve();
  await Promise.resolve();
  mover.hear();
  mock.timers.tick(10_000);
  assert.deepEqual(went, []);
});

test("who edits or wants to stay is not taken along", async (context) => {
  context.after(() => mock.timers.reset());
  const editing = lost({
    draft: { key: "a", form: "text", text: "mine", base: { mod_revision: 1 } },
  });
  editing.mover.lose(state(), 2);
  await Promise.resolve();
  await Promise.resolve();
  mock.timers.tick(10_000);
  assert.deepEqual(editing.went, []);
  assert.match(editing.mover.addressAt(editing.mover.target), /draft=/);
  mock.timers.reset();
  const staying = lost();
  staying.mover.lose(state(), 2);
  await Promise.resolve();
  await Promise.resolve();
  staying.mover.stay();
  mock.timers.tick(10_000);
  assert.deepEqual(staying.went, []);
});

test("when nobody answers, all are asked again", async (context) => {
  const { mover, answers } = lost({ answers: [99] });
  context.after(() => mock.timers.reset());
  mover.lose(state(), 2);
  await Promise.resolve();
  await Promise.resolve();
  assert.equal(mover.hasAsked, true);
  answers[0] = 2;
  mock.timers.tick(2000);
  await Promise.resolve();
  await Promise.resolve();
  assert.equal(mover.target.id, 2);
});
