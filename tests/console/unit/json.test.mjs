import assert from "node:assert/strict";
import { test } from "node:test";

import { faultOf, isJson, restore, spread, squeeze } from "../../../src/http/console/json.js";

const LONG = '{"id":9007199254740993,"a":{},"b":[],"c":[1,{"d":"x, {y}: \\"z\\""}],"id":1.50}';

test("no token is changed by spreading and squeezing", () => {
  assert.equal(squeeze(spread(LONG)), LONG);
  assert.match(spread(LONG), /9007199254740993/);
  assert.match(spread(LONG), /1\.50/);
});

test("the spread form is that of the usual printers", () => {
  const value = { a: [1, 2, { b: null }], c: {}, d: [], e: "x\ny" };
  assert.equal(spread(JSON.stringify(value)), JSON.stringify(value, null, 2));
});

test("an edit of squeezed JSON is stored squeezed, and other JSON as it was written", () => {
  assert.equal(restore('{\n  "a": 2\n}', '{"a":1}'), '{"a":2}');
  assert.equal(restore('{\n    "a": 2\n}', '{ "a": 1 }'), '{\n    "a": 2\n}');
  assert.equal(restore('{ "a": 2 }', "no json"), '{ "a": 2 }');
});

test("the fault of a text that is not JSON is told", () => {
  assert.equal(isJson("[1,]"), false);
  assert.ok(faultOf("[1,]").length > 0);
  assert.equal(faultOf("[1]"), null);
});
