import assert from "node:assert/strict";
import { test } from "node:test";

import { lastOf } from "../../../src/http/console/last_of.js";

test("the answer for the same arguments is made once, and for others anew", () => {
  let made = 0;
  const sum = lastOf((...numbers) => {
    made += 1;
    return numbers.reduce((total, number) => total + number, 0);
  });
  assert.deepEqual([sum(1, 2), sum(1, 2), made], [3, 3, 1]);
  assert.deepEqual([sum(1, 3), made], [4, 2]);
  assert.deepEqual([sum(1), sum(), made], [1, 0, 4]);
});
