import assert from "node:assert/strict";
import { test } from "node:test";

import * as format from "../../../src/http/console/format.js";

/** Breaks of lines do not matter here. */
const plain = (text) => text.replaceAll("\u00a0", " ");

test("a value that is not known is a dash, and never a 0", () => {
  for (const print of [format.count, format.short, format.bytes, format.latency, format.duration]) {
    for (const unknown of [null, undefined, NaN]) assert.equal(print(unknown), "–");
    assert.match(print(0), /^0/);
  }
  assert.equal(format.behind(null, null), "unknown");
  assert.equal(format.percent(1, 0), "–");
});

test("numbers have few digits", () => {
  assert.deepEqual([0.034, 9.996, 99.96, 1234, 12_345, 999_999, 1_500_000].map(format.short), [
    "0.03",
    "10",
    "100",
    "1,234",
    "12.3k",
    "1M",
    "1.5M",
  ]);
  assert.deepEqual(
    [0, 1023, 1024, 1_048_575, 3_221_225_472].map((it) => plain(format.bytes(it))),
    ["0 B", "1023 B", "1 KiB", "1 MiB", "3 GiB"],
  );
  assert.deepEqual(
    [0.04, 0.42, 12.34, 999.7, 2500].map((it) => plain(format.latency(it))),
    ["40 µs", "0.42 ms", "12.3 ms", "1 s", "2.5 s"],
  );
});

test("durations have two units at most", () => {
  const values = [12, 999, 1000, 61_000, 3_600_000, 3_720_000, 90_000_000, 172_800_000];
  const texts = ["12 ms", "999 ms", "1 s", "1 min 1 s", "1 h", "1 h 2 min", "1 d 1 h", "2 d"];
  assert.deepEqual(
    values.map((it) => plain(format.duration(it))),
    texts,
  );
});

test("a moment has its date when it is of another day", () => {
  const now = new Date(2026, 10, 29, 12, 0, 0).getTime();
  assert.equal(format.moment(now - 3_600_000, now), "11:00:00");
  assert.equal(format.moment(now - 86_400_000, now), "2026-11-28 12:00:00");
});

test("lists and plurals read as sentences do", () => {
  assert.equal(format.list(["1"]), "1");
  assert.equal(format.list(["1", "2", "3"]), "1, 2 and 3");
  assert.equal(format.plural(1, "voter"), "1 voter");
  assert.equal(format.plural(0, "voter"), "0 voters");
  assert.equal(plain(format.behind(10_400, 3000, " entries")), "10,400 entries (3 s)");
});
