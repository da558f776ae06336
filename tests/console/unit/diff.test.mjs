import assert from "node:assert/strict";
import { test } from "node:test";

import { LINES_MAX, condense, diffLines } from "../../../src/http/console/diff.js";

const signs = { same: " ", old: "-", new: "+" };
const shown = (old, now) => diffLines(old, now).map(({ kind, text }) => signs[kind] + text);

test("a changed line is replaced, and the others stay", () => {
  assert.deepEqual(shown("a\nb\nc", "a\nB\nc"), [" a", "-b", "+B", " c"]);
  assert.deepEqual(shown("a\nb", "a\nb"), [" a", " b"]);
  assert.deepEqual(shown("", "a"), ["-", "+a"]);
});

test("both texts can be read from a difference, whatever they are", () => {
  let seed = 7;
  const random = (below) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return seed % below;
  };
  for (let round = 0; round < 200; round += 1) {
    const text = () => Array.from({ length: random(12) }, () => "abc"[random(3)]).join("\n");
    const [old, now] = [text(), text()];
    const lines = diffLines(old, now);
    const of = (kind) =>
      lines
        .filter((line) => line.kind !== kind)
        .map((line) => line.text)
        .join("\n");
    assert.equal(of("new"), old);
    assert.equal(of("old"), now);
  }
});

test("very long texts are replaced as a whole, in bounded time", () => {
  const long = (mark) => {
    const lines = Array.from({ length: LINES_MAX + 1 }, (_, index) => `${mark}${index}`);
    return lines.with(500, "equal").join("\n");
  };
  const lines = diffLines(long("a"), long("b"));
  assert.equal(lines.filter(({ kind }) => kind === "same").length, 0);
  assert.equal(lines.length, 2 * LINES_MAX + 2);
});

test("equal lines far from a change are left out, and counted", () => {
  const old = Array.from({ length: 20 }, (_, index) => String(index)).join("\n");
  const lines = condense(diffLines(old, old.replace("10", "ten")), 1);
  assert.deepEqual(
    lines.map((line) => line.count ?? line.text),
    [9, "9", "10", "ten", "11", 8],
  );
});
