// The interface as bytes on a connection: who may ask, and what the answers look like. The server's
// address is `CONSOLE_URL` (a server of a cluster that may be written to), else a mock server's.

import assert from "node:assert/strict";
import { request } from "node:http";
import { after, before, test } from "node:test";

import { MockServers, fillStore } from "./mock.mjs";

const ROOT = "/console/v1";
const TEST_KEY = base64("console-contract/key");
let servers = null;
let base;
let token;

before(async () => {
  if (process.env.CONSOLE_URL) {
    base = new URL(process.env.CONSOLE_URL);
  } else {
    servers = await MockServers.start();
    fillStore(servers.cluster.store);
    base = new URL(servers.url(2));
  }
  token = (await ask("GET", "/session")).json.token;
});

after(() => servers?.stop());

function base64(text) {
  return Buffer.from(text).toString("base64");
}

function query(text) {
  return Buffer.from(text).toString("base64url");
}

/** Asks, and reads the whole answer. `headers` replace those that the page would send. */
function ask(method, path, { body, headers = {}, root = ROOT } = {}) {
  const write =
    method === "POST"
      ? { Origin: base.origin, "Content-Type": "application/json", "X-Coracle-Token": token }
      : {};
  const all = Object.fromEntries(
    Object.entries({ ...write, ...headers }).filter(([, value]) => value !== null),
  );
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host: base.hostname,
        port: base.port,
        path: root + path,
        method,
        headers: all,
        agent: false,
      },
      (response) => {
        const parts = [];
        response.on("data", (part) => parts.push(part));
        response.on("end", () => {
          const text = Buffer.concat(parts).toString();
          const isJson = response.headers["content-type"]?.startsWith("application/json");
          resolve({
            status: response.statusCode,
            headers: response.headers,
            text,
            json: isJson ? JSON.parse(text) : null,
          });
        });
      },
    );
    sent.on("error", reject);
    sent.end(
      body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body),
    );
  });
}

/** The first events of a stream. */
function listen(path, count) {
  return new Promise((resolve, reject) => {
    const sent = request(
      { host: base.hostname, port: base.port, path: ROOT + path, agent: false },
      (response) => {
        let text = "";
        response.on("data", (part) => {
          text += part;
          const events = text.split("\n\n").slice(0, -1);
          if (events.length < count) return;
          sent.destroy();
          resolve({
            headers: response.headers,
            events: events.map((event) => ({
              name: /^event: (.*)$/m.exec(event)?.[1],
              data: JSON.parse(/^data: (.*)$/m.exec(event)?.[1] ?? "null"),
            })),
          });
        });
      },
    );
    sent.on("error", (error) => error.code !== "ECONNRESET" && reject(error));
    sent.end();
  });
}

/** Writes the key of these tests, whatever it was. */
async function write(value) {
  const { json: current } = await ask("GET", `/key?key=${query("console-contract/key")}`);
  const body = {
    key: TEST_KEY,
    value: base64(value),
    mod_revision: current.mod_revision,
    expires_s: 0,
    lease: null,
  };
  return (await ask("POST", "/put", { body })).json;
}

async function refused(method, path, options, status, code) {
  const answer = await ask(method, path, options);
  assert.equal(answer.status, status, `${method} ${path}`);
  assert.equal(answer.json.error.code, code);
  assert.equal(answer.json.error.may_have_executed, false);
  assert.ok(answer.json.error.text.length > 0);
  assert.equal(answer.headers["access-control-allow-origin"], undefined);
}

test("the page comes with the headers that keep strangers out", async () => {
  const page = await ask("GET", "/", { root: "" });
  assert.equal(page.status, 200);
  assert.match(page.headers["content-type"], /^text\/html/);
  const policy = page.headers["content-security-policy"];
  for (const part of [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "form-action 'none'",
  ]) {
    assert.ok(policy.includes(part), `${part} is missing`);
  }
  assert.doesNotMatch(policy, /unsafe|\*/);
  assert.equal(page.headers["x-content-type-options"], "nosniff");
  assert.equal(page.headers["referrer-policy"], "no-referrer");
  assert.equal(page.headers["access-control-allow-origin"], undefined);
});

test("each file that the page names is there with its type, and no other", async () => {
  const page = await ask("GET", "/", { root: "" });
  const names = [...page.text.matchAll(/(?:src|href)="(\/console\/[^"]+)"/g)].map(
    ([, name]) => name,
  );
  assert.ok(names.length > 5);
  for (const name of names) {
    const file = await ask("GET", name, { root: "" });
    assert.equal(file.status, 200, name);
    const type = { js: /javascript/, css: /^text\/css/, svg: /^image\/svg/ }[
      name.split(".").at(-1)
    ];
    assert.match(file.headers["content-type"], type, name);
  }
  for (const name of [
    "/console/",
    "/console/nothing.js",
    "/console/../mod.rs",
    "/console/%2e%2e/mod.rs",
    "/console/v1/nothing",
  ]) {
    assert.equal((await ask("GET", name, { root: "" })).status, 404, name);
  }
});

test("a page of another origin can neither read nor write", async () => {
  await refused("GET", "/session", { headers: { "Sec-Fetch-Site": "cross-site" } }, 403, "origin");
  await refused("GET", "/keys", { headers: { "Sec-Fetch-Site": "same-site" } }, 403, "origin");
  const body = { key: TEST_KEY, value: "", mod_revision: 0, expires_s: 0, lease: null };
  await refused(
    "POST",
    "/put",
    { body, headers: { Origin: "http://evil.example" } },
    403,
    "origin",
  );
  await refused(
    "POST",
    "/put",
    { body, headers: { Origin: `http://${base.hostname}:1` } },
    403,
    "origin",
  );
  await refused("POST", "/put", { body, headers: { Origin: "null" } }, 403, "origin");
  await refused("POST", "/put", { body, headers: { Origin: null } }, 403, "origin");
});

test("a name that was made to lead here is refused", async () => {
  await refused("GET", "/session", { headers: { Host: "evil.example" } }, 421, "host");
  await refused(
    "GET",
    "/keys",
    { headers: { Host: `127.0.0.1.evil.example:${base.port}` } },
    421,
    "host",
  );
});

test("a write without the token of this process is refused, and a form can send none", async () => {
  const body = { key: TEST_KEY, mod_revision: 1 };
  await refused("POST", "/delete", { body, headers: { "X-Coracle-Token": null } }, 403, "token");
  await refused(
    "POST",
    "/delete",
    { body, headers: { "X-Coracle-Token": "0".repeat(32) } },
    403,
    "token",
  );
  await refused(
    "POST",
    "/delete",
    { body, headers: { "Content-Type": "text/plain" } },
    415,
    "bad_request",
  );
  await refused(
    "POST",
    "/members/transfer",
    { body: { to: 1 }, headers: { "X-Coracle-Token": null } },
    403,
    "token",
  );
});

test("each path has one method", async () => {
  await refused("POST", "/keys", { body: {} }, 405, "method");
  await refused("GET", "/put", {}, 405, "method");
  assert.equal((await ask("OPTIONS", "/put")).status, 405);
});

test("parameters out of their range are refused", async () => {
  await refused("GET", "/keys?limit=0", {}, 400, "bad_request");
  await refused("GET", "/keys?limit=201", {}, 400, "bad_request");
  await refused("GET", "/keys?prefix=***", {}, 400, "bad_request");
  await refused("GET", "/key", {}, 400, "bad_request");
  await refused("GET", "/key?key=YQ&at=999999999999", {}, 409, "future");
  await refused("POST", "/put", { body: "no json" }, 400, "bad_request");
  await refused(
    "POST",
    "/put",
    { body: { key: TEST_KEY, value: "", mod_revision: -1, expires_s: 0, lease: null } },
    400,
    "bad_request",
  );
  await refused(
    "POST",
    "/put",
    { body: { key: TEST_KEY, value: "", expires_s: 0, lease: null } },
    400,
    "bad_request",
  );
});

test("a body over its limit is refused", async () => {
  const body = {
    key: TEST_KEY,
    value: "A".repeat(3 * 1024 * 1024),
    mod_revision: 0,
    expires_s: 0,
    lease: null,
  };
  await refused("POST", "/put", { body }, 413, "too_large");
});

test("a write whose compare does not hold is answered with the key as it is", async () => {
  const { mod_revision: revision } = await write("one");
  const body = {
    key: TEST_KEY,
    value: base64("two"),
    mod_revision: revision - 1,
    expires_s: 0,
    lease: null,
  };
  const answer = await ask("POST", "/put", { body });
  assert.equal(answer.status, 200);
  assert.equal(answer.json.conflict.mod_revision, revision);
  assert.equal(answer.json.conflict.value, base64("one"));
  const deletion = await ask("POST", "/delete", {
    body: { key: TEST_KEY, mod_revision: revision - 1 },
  });
  assert.equal(deletion.json.conflict.mod_revision, revision);
});

test("a key is read with all that is known of it, as it is and as it was", async () => {
  const first = await write("first");
  await write("second");
  const { json: now } = await ask("GET", `/key?key=${query("console-contract/key")}`);
  assert.deepEqual(Object.keys(now).sort(), [
    "create_revision",
    "expires_s",
    "found",
    "key",
    "lease",
    "mod_revision",
    "revision",
    "truncated",
    "value",
    "value_bytes",
    "version",
  ]);
  assert.equal(now.value, base64("second"));
  const { json: then } = await ask(
    "GET",
    `/key?key=${query("console-contract/key")}&at=${first.revision}`,
  );
  assert.equal(then.value, base64("first"));
  assert.equal(then.revision, first.revision);
  const { json: absent } = await ask("GET", `/key?key=${query("console-contract/absent")}`);
  assert.deepEqual([absent.found, absent.mod_revision, absent.value], [false, 0, null]);
});

test("the versions of a key are listed newest first, with deletions, page after page", async () => {
  const { mod_revision: revision } = await write("kept");
  const { json: gone } = await ask("POST", "/delete", {
    body: { key: TEST_KEY, mod_revision: revision },
  });
  const { json: page } = await ask(
    "GET",
    `/revisions?key=${query("console-contract/key")}&limit=1`,
  );
  assert.equal(page.more, true);
  assert.deepEqual(
    [page.revisions[0].kind, page.revisions[0].mod_revision, page.revisions[0].value],
    ["deleted", gone.revision, null],
  );
  const { json: next } = await ask(
    "GET",
    `/revisions?key=${query("console-contract/key")}&limit=1&before=${gone.revision}`,
  );
  assert.deepEqual([next.revisions[0].kind, next.revisions[0].mod_revision], ["set", revision]);
});

test("keys are listed in the order of their bytes", async () => {
  await write("listed");
  const { json: page } = await ask("GET", `/keys?prefix=${query("console-contract/")}&limit=1`);
  assert.equal(page.keys[0].key, TEST_KEY);
  for (const field of [
    "create_revision",
    "mod_revision",
    "version",
    "lease",
    "expires_s",
    "value_bytes",
    "value",
  ])
    assert.ok(field in page.keys[0], field);
  const { json: rest } = await ask(
    "GET",
    `/keys?prefix=${query("console-contract/")}&after=${query("console-contract/key")}`,
  );
  assert.deepEqual([rest.keys, rest.more], [[], false]);
});

test("a watch sends the past that was asked for, and then what happens", async () => {
  const { revision } = await write("watched");
  const stream = listen(`/watch?key=${query("console-contract/key")}&from=${revision}`, 2);
  const { headers, events } = await stream;
  assert.match(headers["content-type"], /^text\/event-stream/);
  assert.equal(events[0].name, "watching");
  assert.equal(events[1].name, "changes");
  assert.equal(events[1].data.revision, revision);
  assert.equal(events[1].data.changes[0].value, base64("watched"));
  assert.equal(events[1].data.left_out, 0);
  await refused("GET", "/watch", {}, 400, "bad_request");
  await refused("GET", "/watch?key=YQ&prefix=YQ", {}, 400, "bad_request");
});

test("the stream of the cluster begins with all that is kept, and goes on", async () => {
  const { headers, events } = await listen("/events", 3);
  assert.match(headers["content-type"], /^text\/event-stream/);
  const [{ name, data }] = events;
  assert.equal(name, "hello");
  for (const field of [
    "at_ms",
    "server",
    "cluster",
    "term",
    "leader",
    "leader_age_ms",
    "voters",
    "needed",
    "here",
    "can_lose",
    "members_from",
    "members_age_ms",
    "members",
    "change",
    "ended",
    "removed",
  ]) {
    assert.ok(field in data.state, `State has no ${field}`);
  }
  for (const field of [
    "id",
    "kind",
    "state",
    "log_address",
    "client_address",
    "http_address",
    "seen_age_ms",
    "behind_entries",
    "behind_ms",
    "snapshot",
    "cause",
    "cause_text",
    "report",
    "report_age_ms",
    "report_error",
  ]) {
    for (const member of data.state.members) assert.ok(field in member, `Member has no ${field}`);
  }
  for (const field of [
    "term",
    "leader",
    "began_at_ms",
    "elected_at_ms",
    "ended_at_ms",
    "cause",
    "cause_text",
  ]) {
    for (const term of data.terms) assert.ok(field in term, `Term has no ${field}`);
  }
  for (const field of [
    "at_ms",
    "is_leader",
    "term",
    "committed_per_second",
    "writes_per_second",
    "reads_per_second",
    "failures_per_second",
    "commit_p50_ms",
    "commit_p99_ms",
    "read_p50_ms",
    "read_p99_ms",
    "fsync_p50_ms",
    "fsync_p99_ms",
    "apply_p99_ms",
    "turn_max_ms",
    "proposals_pending",
    "behind",
    "log_bytes",
    "snapshot_bytes",
    "disk_free_bytes",
    "store_bytes",
    "history_bytes",
    "memory_bytes_used",
    "resident_bytes",
    "sessions",
    "watches",
  ]) {
    assert.ok(data.samples.fields.includes(field), `Samples have no ${field}`);
  }
  assert.ok(events.slice(1).every((event) => ["state", "sample", "term"].includes(event.name)));
});

test("a report has what the page shows of a server", async () => {
  const { json } = await ask("GET", "/report");
  for (const field of [
    "id",
    "version",
    "formats",
    "cluster_id",
    "uptime_seconds",
    "at_ms",
    "role",
    "term",
    "leader",
    "last_log_index",
    "last_persisted_index",
    "commit_index",
    "last_applied",
    "snapshot_index",
    "draining",
    "removed_at_index",
    "live",
    "ready",
    "checks",
    "keys",
    "revision",
    "compacted_revision",
    "leases",
    "watches",
    "sessions",
    "proposals_pending",
    "writes_per_second",
    "reads_per_second",
    "commit_p99_ms",
    "fsync_p99_ms",
    "log_bytes",
    "log_files",
    "snapshot_bytes",
    "disk_free_bytes",
    "disk_bytes",
    "store_bytes",
    "store_bytes_max",
    "history_bytes",
    "history_bytes_max",
    "memory_bytes_used",
    "memory_bytes_max",
    "resident_bytes",
  ]) {
    assert.ok(field in json, `Report has no ${field}`);
  }
});

test("a removal is planned without a change, and an unknown member is told", async () => {
  const { json: report } = await ask("GET", "/report");
  const id = report.leader === 1 ? 2 : 1;
  const { json } = await ask("POST", "/members/remove", { body: { id, dry_run: true } });
  for (const field of ["voters", "needed", "here", "can_lose"])
    assert.equal(json.plan[field].length, 2);
  assert.equal(json.plan.voters[1], json.plan.voters[0] - 1);
  await refused("POST", "/members/transfer", { body: { to: 9999 } }, 404, "not_found");
});
