import assert from "node:assert/strict";
import { test } from "node:test";

import { arrive, elsewhere, format, parse } from "../../../src/http/console/route.js";

test("a place leads back to itself, whatever its key is", () => {
  const place = { view: "keys", params: { prefix: "a&b=c#d?", key: "größe/\\x00 %2F+" } };
  assert.deepEqual(parse(format(place)), place);
});

test("an unknown place is the overview", () => {
  assert.equal(parse("#/nowhere").view, "overview");
  assert.equal(parse("").view, "overview");
  assert.equal(parse("#main").view, "overview");
});

test("parameters that are empty are left out", () => {
  assert.equal(
    format({ view: "keys", params: { prefix: "", key: null, pane: undefined } }),
    "#/keys",
  );
});

test("a move keeps the place, and what goes along is taken out by the page that arrives", () => {
  const place = { view: "keys", params: { prefix: "a/", key: "a/b" } };
  const url = new URL(
    elsewhere("127.0.0.1:9101", place, { moved_from: 3, theme: "dark", draft: '{"text":"ä"}' }),
  );
  assert.equal(url.origin, "http://127.0.0.1:9101");
  const arrival = arrive(parse(url.hash));
  assert.deepEqual(arrival, { place, movedFrom: "3", theme: "dark", draft: '{"text":"ä"}' });
});

test("a text in the place of a server's id is not shown to anybody", () => {
  assert.equal(arrive(parse("#/keys?moved_from=3")).movedFrom, "3");
  for (const text of ["evil%20sentence", "-1", ""]) {
    assert.equal(arrive(parse(`#/keys?moved_from=${text}`)).movedFrom, undefined);
  }
});
