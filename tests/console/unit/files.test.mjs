// What holds for all files of the page: the contrast of the colours, the size of the modules, and
// that nothing comes from anywhere else.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const DIRECTORY = join(import.meta.dirname, "../../../src/http/console");
const LINES_MAX = 400;
const names = readdirSync(DIRECTORY);
const read = (name) => readFileSync(join(DIRECTORY, name), "utf8");

/** Text on a background: WCAG AA wants 4.5. */
const TEXT = [
  ["text", ["bg", "surface", "raised", "accent-soft", "bad-soft", "warn-soft"]],
  ["muted", ["bg", "surface", "raised", "accent-soft", "warn-soft"]],
  ["accent", ["bg", "surface", "raised", "accent-soft"]],
  ["accent-ink", ["accent"]],
  ["bad-ink", ["bad"]],
  ["bad", ["surface", "bad-soft", "warn-soft", "bg"]],
  ["warn", ["surface", "bad-soft", "warn-soft"]],
  ["bg", ["text"]],
];
/** Lines, borders of controls and marks: WCAG AA wants 3. */
const MARKS = [
  ["control", ["bg", "surface"]],
  ["accent", ["bg", "surface", "accent-soft", "raised"]],
  ["plot-second", ["surface"]],
  ["bad", ["surface", "bg", "bad-soft"]],
  ["warn", ["surface", "raised", "warn-soft"]],
];

function blocks() {
  const css = read("tokens.css");
  const colours = (text) =>
    Object.fromEntries(
      [...text.matchAll(/--([a-z-]+): (#[0-9a-f]{6});/g)].map(([, name, colour]) => [name, colour]),
    );
  const [light, dark, chosen] = css.split(/(?=@media)|(?=:root\[data-theme="dark"\])/).map(colours);
  return { light, dark, chosen };
}

function luminance(colour) {
  const [red, green, blue] = [1, 3, 5].map((start) => {
    const part = Number.parseInt(colour.slice(start, start + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(one, other) {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

for (const theme of ["light", "dark"]) {
  test(`the ${theme} colours have the contrast of WCAG AA`, () => {
    const colours = blocks()[theme];
    const low = [];
    const check = (pairs, least) => {
      for (const [front, backs] of pairs) {
        for (const back of backs) {
          const ratio = contrast(colours[front], colours[back]);
          if (!(ratio >= least)) low.push(`${front} on ${back}: ${ratio.toFixed(2)}`);
        }
      }
    };
    check(TEXT, 4.5);
    check(MARKS, 3);
    assert.deepEqual(low, []);
  });
}

test("both ways to the dark theme lead to the same colours", () => {
  const { light, dark, chosen } = blocks();
  assert.deepEqual(dark, chosen);
  assert.deepEqual(Object.keys(dark), Object.keys(light));
});

test("colours are written in tokens.css and nowhere else", () => {
  for (const name of names.filter((it) => it.endsWith(".css") && it !== "tokens.css")) {
    assert.doesNotMatch(read(name), /#[0-9a-f]{3,8}\b(?!\S*\{)/i, name);
  }
});

test("each file is short", () => {
  for (const name of names) {
    const lines = read(name).split("\n").length - 1;
    assert.ok(lines <= LINES_MAX, `${name} has ${lines} lines`);
  }
});

test("no line is longer than 100 columns", () => {
  const long = names.flatMap((name) =>
    read(name)
      .split("\n")
      .filter((line) => line.length > 100)
      .map((line) => `${name}: ${line}`),
  );
  assert.deepEqual(long, []);
});

test("each file is used, and each import names a file", () => {
  const used = new Set(["index.html"]);
  for (const [, name] of read("index.html").matchAll(/(?:src|href)="\/console\/([^"]+)"/g))
    used.add(name);
  for (const name of names.filter((it) => it.endsWith(".js"))) {
    for (const [, imported] of read(name).matchAll(/from "\.\/([^"]+)"/g)) used.add(imported);
  }
  assert.deepEqual([...used].sort(), [...names].sort());
});

test("modules import in no circle", () => {
  const imports = (name) => [...read(name).matchAll(/from "\.\/([^"]+)"/g)].map(([, it]) => it);
  const visit = (name, path) => {
    assert.ok(!path.includes(name), `${[...path, name].join(" -> ")}`);
    imports(name).forEach((it) => visit(it, [...path, name]));
  };
  visit("app.js", []);
});

test("no file names another host, and the page has no script or style of its own", () => {
  for (const name of names) {
    const hosts = [...read(name).matchAll(/https?:\/\/([^\s"'`/]+)/g)].map(([, host]) => host);
    assert.deepEqual(
      hosts.filter((host) => host !== "www.w3.org" && !host.startsWith("${")),
      [],
      name,
    );
  }
  assert.doesNotMatch(read("index.html"), /<style|<script>|style=|\son[a-z]+="/);
});

test("no module makes markup from text", () => {
  for (const name of names.filter((it) => it.endsWith(".js"))) {
    assert.doesNotMatch(
      read(name),
      /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function/,
      name,
    );
  }
});
