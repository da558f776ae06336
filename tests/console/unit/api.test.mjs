import assert from "node:assert/strict";
import { test } from "node:test";

import { Api, address } from "../../../src/http/console/api.js";

const SESSION = { token: "one", limits: { request_timeout_ms: 5000 } };

function build(answers) {
  const asked = [];
  const api = new Api(async (url, options) => {
    asked.push([options.method ?? "GET", url, options.headers?.["X-Coracle-Token"]]);
    const [status, body] = answers.shift();
    if (status === 0) throw new TypeError("refused");
    return { ok: status < 400, json: async () => body };
  });
  return { api, asked };
}

test("a parameter that is empty is sent, and one that is not there is not", () => {
  assert.equal(
    address("/keys", { prefix: "", after: null, limit: 5 }),
    "/console/v1/keys?prefix=&limit=5",
  );
});

test("a write carries the token of the session, which is asked for once", async () => {
  const { api, asked } = build([
    [200, SESSION],
    [200, { revision: 1 }],
    [200, { revision: 2 }],
  ]);
  await api.post("/put", {});
  await api.post("/put", {});
  assert.deepEqual(
    asked.map(([method, , token]) => [method, token]),
    [
      ["GET", undefined],
      ["POST", "one"],
      ["POST", "one"],
    ],
  );
});

test("after a restart of the server the write is sent once more with its new token", async () => {
  const refused = [403, { error: { code: "token", text: "…", may_have_executed: false } }];
  const { api, asked } = build([
    [200, SESSION],
    refused,
    [200, { ...SESSION, token: "two" }],
    [200, { revision: 2 }],
  ]);
  assert.deepEqual(await api.post("/put", {}), { revision: 2 });
  assert.equal(asked.at(-1)[2], "two");
});

test("no other error makes the page write twice", async () => {
  const { api, asked } = build([
    [200, SESSION],
    [504, { error: { code: "timeout", text: "…", may_have_executed: true } }],
  ]);
  await assert.rejects(
    api.post("/put", {}),
    (error) => error.code === "timeout" && error.mayHaveExecuted,
  );
  assert.equal(asked.length, 2);
});

test("a write without an answer may have been executed, a read not", async () => {
  const write = build([[200, SESSION], [0]]);
  await assert.rejects(
    write.api.post("/put", {}),
    (error) => error.code === "unreachable" && error.mayHaveExecuted,
  );
  const read = build([[0]]);
  await assert.rejects(
    read.api.get("/keys"),
    (error) => error.code === "unreachable" && !error.mayHaveExecuted,
  );
});

test("a command that the server decided against was not executed", async () => {
  const { api } = build([
    [200, SESSION],
    [200, { conflict: { mod_revision: 41 } }],
    [200, { refused: "Not now." }],
  ]);
  await assert.rejects(
    api.post("/put", {}),
    (error) =>
      error.code === "conflict" && !error.mayHaveExecuted && error.body.current.mod_revision === 41,
  );
  await assert.rejects(
    api.post("/members/remove", {}),
    (error) => error.code === "refused" && error.message === "Not now.",
  );
});

test("a session that was renewed has the token of the next write", async () => {
  const { api, asked } = build([
    [200, SESSION],
    [200, { ...SESSION, token: "two" }],
    [200, {}],
  ]);
  await api.openSession();
  await api.renewSession();
  await api.post("/put", {});
  assert.equal(asked.at(-1)[2], "two");
});
