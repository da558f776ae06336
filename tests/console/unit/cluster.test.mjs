import assert from "node:assert/strict";
import { test } from "node:test";

import {
  SAMPLES_MAX,
  applyEvent,
  followersIn,
  lose,
  unknownCluster,
  within,
} from "../../../src/http/console/cluster.js";

const samples = (from, to) => ({
  fields: ["at_ms", "writes_per_second"],
  rows: Array.from({ length: to - from }, (_, index) => [(from + index) * 1000, index]),
});
const hello = { state: { term: 7 }, terms: [{ term: 6 }, { term: 7 }], samples: samples(0, 3) };

test("hello replaces all that was known, so a pause leaves no old sample", () => {
  const before = applyEvent(unknownCluster(), "hello", { ...hello, samples: samples(0, 50) });
  const after = applyEvent(lose(before), "hello", hello);
  assert.equal(after.samples.length, 3);
  assert.equal(after.isLive, true);
  assert.deepEqual(
    after.terms.map(({ term }) => term),
    [7, 6],
  );
});

test("samples are kept up to the bound, in order, each once", () => {
  let cluster = applyEvent(unknownCluster(), "hello", {
    ...hello,
    samples: samples(0, SAMPLES_MAX),
  });
  cluster = applyEvent(cluster, "sample", samples(SAMPLES_MAX - 1, SAMPLES_MAX + 1));
  assert.equal(cluster.samples.length, SAMPLES_MAX);
  assert.equal(cluster.samples[0].at_ms, 1000);
  assert.equal(cluster.samples.at(-1).at_ms, SAMPLES_MAX * 1000);
});

test("a term that ends replaces itself", () => {
  const cluster = applyEvent(applyEvent(unknownCluster(), "hello", hello), "term", {
    term: 7,
    ended_at_ms: 9,
  });
  assert.deepEqual(cluster.terms, [{ term: 7, ended_at_ms: 9 }, { term: 6 }]);
});

test("what was known stays to be read when the server is lost", () => {
  const cluster = lose(applyEvent(unknownCluster(), "hello", hello));
  assert.equal(cluster.isLive, false);
  assert.equal(cluster.state.term, 7);
});

test("a server that stops says so before it is lost", () => {
  const cluster = applyEvent(unknownCluster(), "hello", hello);
  const stopping = applyEvent(cluster, "bye", { text: "The server stops." });
  assert.equal(stopping.bye, "The server stops.");
  assert.equal(applyEvent(stopping, "hello", hello).bye, null);
});

test("an unknown event changes nothing", () => {
  const cluster = applyEvent(unknownCluster(), "hello", hello);
  assert.equal(applyEvent(cluster, "later", {}), cluster);
});

test("a window is counted from the newest sample, not from the clock of the browser", () => {
  const cluster = applyEvent(unknownCluster(), "hello", { ...hello, samples: samples(0, 100) });
  assert.deepEqual(
    within(cluster.samples, 3000).map(({ at_ms: at }) => at),
    [97_000, 98_000, 99_000],
  );
  assert.deepEqual(within([], 3000), []);
});

test("followers are those that any sample has", () => {
  assert.deepEqual(
    followersIn([{ behind: null }, { behind: { 10: 0, 2: 5 } }, { behind: { 3: null } }]),
    [2, 3, 10],
  );
});
