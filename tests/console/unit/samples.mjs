// A state of a cluster for unit tests, in the words of docs/console-interface.md.

/** A report of a server that is well. */
export function report(id, changes = {}) {
  return {
    id,
    version: "0.5.0",
    formats: [1, 4],
    at_ms: 1_780_000_000_000,
    uptime_seconds: 100,
    role: "follower",
    removed_at_index: null,
    live: true,
    ready: true,
    checks: [],
    fsync_p99_ms: 1,
    disk_free_bytes: 80,
    disk_bytes: 100,
    store_bytes: 10,
    store_bytes_max: 0,
    memory_bytes_used: 10,
    memory_bytes_max: 100,
    ...changes,
  };
}

/** A member that is in step. */
export function member(id, changes = {}) {
  return {
    id,
    kind: "voter",
    state: "follower",
    http_address: `127.0.0.1:${9099 + id}`,
    seen_age_ms: 10,
    behind_entries: 0,
    behind_ms: 0,
    snapshot: null,
    cause: null,
    cause_text: null,
    report: report(id),
    report_age_ms: 0,
    report_error: null,
    ...changes,
  };
}

/** The state of five servers of which server 3 leads, as server 1 tells it. */
export function state(changes = {}, members = {}) {
  return {
    at_ms: 1_780_000_000_000,
    server: 1,
    cluster: { name: "coracle", id: null, format: 4 },
    term: 7,
    leader: 3,
    leader_age_ms: 60_000,
    voters: 5,
    needed: 3,
    here: 5,
    can_lose: 2,
    members_from: 3,
    members_age_ms: 100,
    members: [1, 2, 3, 4, 5].map((id) =>
      member(id, { ...(id === 3 && { state: "leader", seen_age_ms: null }), ...members[id] }),
    ),
    change: null,
    ended: [],
    removed: [],
    ...changes,
  };
}
