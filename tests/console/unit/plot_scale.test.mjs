import assert from "node:assert/strict";
import { test } from "node:test";

import { axisEnd, describe, nearest, path } from "../../../src/http/console/plot_scale.js";

const at = (sample) => sample.value;
const samples = [0, 1, 2, 3].map((second) => ({ at_ms: second * 1000, value: second }));
const frame = { fromMs: 0, toMs: 4000, max: 4 };

test("an axis ends where it can be read, never below the values and never at 0", () => {
  assert.deepEqual(
    [0, 1, 1.2, 3.2, 7, 99, 101, 12_300].map((it) => axisEnd(it)),
    [1, 1, 1.5, 4, 8, 100, 150, 15_000],
  );
  for (let value = 0.001; value < 1e9; value *= 1.37) {
    const end = axisEnd(value, { least: 0.001 });
    assert.ok(end >= value * (1 - 1e-9) && end <= value * 2, `${value} ends at ${end}`);
  }
});

test("an axis of bytes ends at parts of powers of two", () => {
  assert.equal(axisEnd(1_000_000, { isBytes: true }), 1_048_576);
  assert.equal(axisEnd(1_100_000, { isBytes: true }), 1_310_720);
  assert.equal(axisEnd(0, { isBytes: true, least: 1024 }), 1024);
});

test("a path is drawn from the lower left", () => {
  assert.equal(path(samples, at, frame), "M0 100L250 75L500 50L750 25");
});

test("a value that is not known, and a gap in time, interrupt the line", () => {
  const broken = [samples[0], { at_ms: 1000, value: null }, samples[2], { at_ms: 9000, value: 1 }];
  assert.equal(path(broken, at, { ...frame, toMs: 10_000 }).match(/M/g).length, 3);
});

test("the sample under the cursor is the nearest, if one is near", () => {
  assert.equal(nearest(samples, 1400).at_ms, 1000);
  assert.equal(nearest(samples, 90_000), null);
  assert.equal(nearest([], 0), null);
});

test("a plot says in words what it shows", () => {
  const text = describe(
    "Commands",
    samples,
    [
      { name: "writes", value: at },
      { name: "none", value: () => null },
    ],
    String,
  );
  assert.equal(text, "Commands. writes: now 3, lowest 0, highest 3; none: not measured.");
});
