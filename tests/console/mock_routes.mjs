// The paths of the interface, answered from the mock cluster.

import { timingSafeEqual } from "node:crypto";

import { reportOf } from "./mock_numbers.mjs";
import { MockStore, changeOf } from "./mock_store.mjs";

const ROOT = "/console/v1";
const BODY_BYTES_MAX = 2 * 1024 * 1024;
const PROGRESS_MS = 3_000;
const EXPIRES_S_MAX = 3_153_600_000;

/** A request that is refused. */
export class Refusal extends Error {
  constructor(status, code, text, { mayHaveExecuted = false, extra = {} } = {}) {
    super(text);
    this.status = status;
    this.body = { error: { code, text, may_have_executed: mayHaveExecuted, ...extra } };
  }
}

const READS = {
  "/session": session,
  "/events": events,
  "/report": report,
  "/keys": keys,
  "/key": key,
  "/revisions": revisions,
  "/watch": watch,
};
const WRITES = {
  "/put": put,
  "/delete": remove,
  "/members/transfer": transfer,
  "/members/promote": promote,
  "/members/remove": removeMember,
  "/members/cancel": cancel,
};

/** Answers a request, or fails with a Refusal. */
export async function answerRequest(context) {
  const { url, request, response } = context;
  if (["/livez", "/readyz", "/metrics"].includes(url.pathname)) return void response.end("ok\n");
  const path = url.pathname.startsWith(ROOT) ? url.pathname.slice(ROOT.length) : null;
  const read = READS[path];
  const write = WRITES[path];
  if (!read && !write) throw new Refusal(404, "not_found", "There is no such path.");
  checkReader(request);
  if (request.method !== (read ? "GET" : "POST"))
    throw new Refusal(405, "method", "The path has another method.");
  if (read) return read(context);
  checkWriter(context);
  return send(response, await write(context, await bodyOf(request)));
}

function checkReader({ headers }) {
  const host = new URL(`http://${headers.host}`).hostname;
  if (!/^(localhost|[\d.]+|\[.*\])$/.test(host))
    throw new Refusal(421, "host", "The server has another name.");
  const site = headers["sec-fetch-site"];
  if (site !== undefined && site !== "same-origin" && site !== "none") {
    throw new Refusal(403, "origin", "Only the server's own page may ask.");
  }
}

function checkWriter({ request: { headers }, token }) {
  if (headers.origin === undefined || hostOf(headers.origin) !== headers.host) {
    throw new Refusal(403, "origin", "Only the server's own page may change something.");
  }
  if (headers["content-type"] !== "application/json")
    throw new Refusal(415, "bad_request", "The body has to be JSON.");
  const given = Buffer.from(headers["x-coracle-token"] ?? "");
  if (given.length !== token.length || !timingSafeEqual(given, Buffer.from(token))) {
    throw new Refusal(403, "token", "The token is not that of this server's process.");
  }
}

function hostOf(origin) {
  return URL.canParse(origin) ? new URL(origin).host : null;
}

async function bodyOf(request) {
  const parts = [];
  let length = 0;
  for await (const part of request) {
    length += part.length;
    if (length > BODY_BYTES_MAX) throw new Refusal(413, "too_large", "The body is too large.");
    parts.push(part);
  }
  try {
    return JSON.parse(Buffer.concat(parts).toString());
  } catch {
    throw new Refusal(400, "bad_request", "The body is not JSON.");
  }
}

function send(response, answer) {
  response.writeHead(200, {
    "Content-Type": "application/json",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
  });
  response.end(JSON.stringify(answer));
}

// Reads.

function session({ id, token, response }) {
  send(response, {
    version: 1,
    server: id,
    token,
    program_version: "0.5.0",
    limits: { key_bytes_max: 250, value_bytes_max: 1_048_576, request_timeout_ms: 5000 },
  });
}

function report({ id, cluster, response }) {
  send(response, reportOf(cluster, id, Date.now()));
}

function keys({ url, cluster, response }) {
  needLeader(cluster, url);
  const limit = numberOf(url, "limit", 1, 200) ?? 100;
  send(
    response,
    cluster.store.list({
      prefix: bytesOf(url, "prefix") ?? Buffer.alloc(0),
      after: bytesOf(url, "after"),
      limit,
      at: revisionOf(url, cluster),
    }),
  );
}

function key({ url, cluster, response }) {
  needLeader(cluster, url);
  send(response, cluster.store.get(needKey(url), revisionOf(url, cluster)));
}

function revisions({ url, cluster, response }) {
  const limit = numberOf(url, "limit", 1, 100) ?? 50;
  send(response, cluster.store.revisions(needKey(url), numberOf(url, "before", 1), limit));
}

function needLeader(cluster, url) {
  if (
    cluster.leader === null &&
    url.searchParams.get("read") !== "stale" &&
    !url.searchParams.has("at")
  ) {
    throw new Refusal(503, "no_leader", "No leader is known now.");
  }
}

function needKey(url) {
  const it = bytesOf(url, "key");
  if (it === null || it.length === 0)
    throw new Refusal(400, "bad_request", "The parameter key is missing.");
  return it;
}

function bytesOf(url, name) {
  const text = url.searchParams.get(name);
  if (text !== null && !/^[A-Za-z0-9_-]*$/.test(text))
    throw new Refusal(400, "bad_request", `The parameter ${name} is not base64url.`);
  return text === null ? null : Buffer.from(text, "base64url");
}

function numberOf(url, name, min, max = Number.MAX_SAFE_INTEGER) {
  const text = url.searchParams.get(name);
  if (text === null) return null;
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < min || number > max) {
    throw new Refusal(400, "bad_request", `The parameter ${name} has to be ${min} to ${max}.`);
  }
  return number;
}

function revisionOf(url, { store }) {
  const at = numberOf(url, "at", 1) ?? store.revision;
  checkRevision(at, store);
  if (at > store.revision)
    throw new Refusal(409, "future", `The server is at revision ${store.revision}.`, {
      extra: { revision: store.revision },
    });
  return at;
}

function checkRevision(at, store) {
  if (at >= store.compacted) return;
  throw new Refusal(
    410,
    "compacted",
    `Revision ${store.compacted} is the oldest that can be read.`,
    { extra: { compacted_revision: store.compacted } },
  );
}

// Streams.

function openStream(response, request, stop) {
  response.writeHead(200, {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
  });
  response.flushHeaders();
  request.once("close", stop);
  return (event, data) => response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
}

function events({ id, cluster, request, response }) {
  const tick = () => {
    push("sample", rows([cluster.samples.get(id).at(-1)]));
    push("state", cluster.state(id));
  };
  let told = null;
  const change = () => {
    const last = cluster.terms.at(-1);
    const previous = cluster.terms.at(-2);
    push("state", cluster.state(id));
    if (told !== null && last.term !== told) push("term", previous);
    push("term", last);
    told = last.term;
  };
  const push = openStream(response, request, () => {
    cluster.off("tick", tick);
    cluster.off("change", change);
  });
  told = cluster.terms.at(-1).term;
  push("hello", {
    version: 1,
    state: cluster.state(id),
    terms: [...cluster.terms].reverse(),
    samples: rows(cluster.samples.get(id)),
  });
  cluster.on("tick", tick);
  cluster.on("change", change);
}

function rows(samples) {
  const fields = Object.keys(samples[0] ?? { at_ms: 0 });
  return { fields, rows: samples.map((sample) => fields.map((field) => sample[field])) };
}

function watch({ url, cluster, request, response }) {
  const { store } = cluster;
  const key = bytesOf(url, "key");
  const prefix = bytesOf(url, "prefix");
  if ((key === null) === (prefix === null))
    throw new Refusal(400, "bad_request", "Either key or prefix has to be there.");
  const matches = MockStore.matcher({ key, prefix });
  const from = numberOf(url, "from", 1) ?? store.revision + 1;
  const take = (change) => {
    if (matches(change.id))
      push("changes", { revision: change.mod_revision, changes: [changeOf(change)], left_out: 0 });
  };
  const timer = setInterval(() => push("progress", { revision: store.revision }), PROGRESS_MS);
  const push = openStream(response, request, () => {
    clearInterval(timer);
    store.watchers.delete(take);
  });
  if (from < store.compacted) {
    push("ended", {
      code: "compacted",
      text: `Changes before revision ${store.compacted} are no longer kept.`,
      compacted_revision: store.compacted,
    });
    response.end();
    return;
  }
  push("watching", { revision: store.revision });
  store.since(from, matches).forEach(take);
  store.watchers.add(take);
}

// Writes.

function put({ cluster }, body) {
  needQuorum(cluster);
  const key = decode(body.key);
  const value = decode(body.value);
  if (value.length > 1_048_576) throw new Refusal(413, "too_large", "The value is over 1 MiB.");
  if (!(body.expires_s >= 0 && body.expires_s <= EXPIRES_S_MAX))
    throw new Refusal(400, "bad_request", "expires_s is out of its range.");
  if (body.lease !== null && body.lease !== "7587869201")
    throw new Refusal(409, "no_lease", `There is no lease ${body.lease}.`);
  const revision = cluster.store.put(key, value, {
    modRevision: needModRevision(body, 0),
    expires: body.expires_s,
    lease: body.lease,
  });
  if (revision === null) return conflict(cluster.store, key);
  return { revision, mod_revision: revision };
}

function remove({ cluster }, body) {
  needQuorum(cluster);
  const key = decode(body.key);
  const revision = cluster.store.delete(key, { modRevision: needModRevision(body, 1) });
  if (revision === null) return conflict(cluster.store, key);
  return { revision };
}

function conflict(store, key) {
  return { conflict: store.get(key, store.revision) };
}

function decode(text) {
  if (typeof text !== "string") throw new Refusal(400, "bad_request", "Bytes have to be base64.");
  return Buffer.from(text, "base64");
}

function needModRevision({ mod_revision: revision }, min) {
  if (!Number.isSafeInteger(revision) || revision < min)
    throw new Refusal(400, "bad_request", `mod_revision has to be ${min} or more.`);
  return revision;
}

function needQuorum(cluster) {
  if (cluster.leader === null) throw new Refusal(503, "no_leader", "No leader is known now.");
  if (cluster.here < cluster.needed)
    throw new Refusal(504, "timeout", "The write was not committed in time.", {
      mayHaveExecuted: true,
    });
}

// Members.

function transfer({ cluster }, { to }) {
  const member = needMember(cluster, to);
  if (cluster.leader === to) return { already: true };
  if (member.lag > 1000)
    return {
      refused:
        `Server ${to} is ${member.lag.toLocaleString("en-US")} entries behind: ` +
        "wait until it is in step, or name another one.",
    };
  return cluster.transfer(to);
}

function promote({ cluster }, { id, dry_run: isDry }) {
  const member = needMember(cluster, id);
  if (member.kind === "voter") return { already: true };
  const here = cluster.here + (member.isAlive ? 1 : 0);
  if (isDry) return { plan: cluster.plan(cluster.voters.length + 1, here) };
  return {
    change: cluster.begin(`promote ${id}`, () => {
      member.kind = "voter";
    }),
  };
}

function removeMember({ cluster }, { id, dry_run: isDry }) {
  const member = needMember(cluster, id);
  const voters = cluster.voters.length - (member.kind === "voter" ? 1 : 0);
  const here = cluster.here - (member.kind === "voter" && member.isAlive ? 1 : 0);
  const plan = cluster.plan(voters, here);
  const [before, after] = plan.can_lose;
  if (after < 1 && after < before) {
    return {
      refused:
        `Without server ${id} no voter could be lost. Add a server before, or: ` +
        `coracle member remove ${id} --can-lose ${Math.max(0, after)}`,
    };
  }
  if (isDry) return { plan };
  return { change: cluster.begin(`remove ${id}`, () => cluster.remove(id)) };
}

function cancel({ cluster }, { change }) {
  if (!cluster.cancel(change))
    throw new Refusal(404, "not_found", `Change ${change} is not under way.`);
  return { change };
}

function needMember(cluster, id) {
  const member = cluster.members.get(id);
  if (!member) throw new Refusal(404, "not_found", `Server ${id} is no member.`);
  if (cluster.leader === null) throw new Refusal(503, "no_leader", "No leader is known now.");
  return member;
}
