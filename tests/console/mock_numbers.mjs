// The numbers that the mock servers tell of themselves and of each other.

/** The id of the mock cluster. */
export const CLUSTER_ID = "0f3c3e0a9d5c4c0f8a57c9a5f6a1b2c3";
/** A member that lacks more entries is not in step. */
const IN_STEP_ENTRIES = 1000;
const CAUSES = {
  snapshot: "It lacks entries that the leader's log no longer has, and is sent a snapshot.",
  disk: "Its log writes are slow: 1 of 100 syncs takes over 240 ms.",
  network: "Round trips to it take 380 ms.",
  apply: "It has the entries, but applies them slowly.",
  unseen: "The leader does not hear it.",
  catching: "It came back 4 s ago, and gets closer.",
};

/** What the leader, and the member itself, say of a member. */
export function memberOf(cluster, member, self, now) {
  const { id, kind } = member;
  const isLeader = id === cluster.leader;
  const isUnseen = !member.isAlive;
  const state = stateOf(cluster, member);
  const cause = isUnseen ? "unseen" : member.cause;
  const ago = isUnseen ? now - member.seenAt : null;
  return {
    id,
    kind,
    state,
    log_address: `127.0.0.1:${8999 + id * 2}`,
    client_address: `127.0.0.1:${8998 + id * 2}`,
    http_address: member.http,
    seen_age_ms: isLeader || cluster.leader === null ? null : isUnseen ? ago : 8 + id,
    behind_entries: isLeader ? 0 : isUnseen || cluster.leader === null ? null : member.lag,
    behind_ms: isLeader
      ? 0
      : isUnseen || cluster.leader === null
        ? null
        : Math.round(member.lag / 3.4),
    snapshot: member.snapshot,
    cause,
    cause_text: cause === null ? null : CAUSES[cause],
    report:
      isUnseen && ago > 600_000 ? null : reportOf(cluster, id, isUnseen ? member.seenAt : now),
    report_age_ms: isUnseen ? ago : id === self ? 0 : 240 + id,
    report_error: isUnseen && id !== self ? `${member.http} refused the connection.` : null,
  };
}

function stateOf(cluster, { id, isAlive, lag, isDraining }) {
  if (id === cluster.leader) return "leader";
  if (cluster.leader === null) return "unknown";
  if (!isAlive) return "unseen";
  if (lag > IN_STEP_ENTRIES) return "catching";
  return isDraining ? "draining" : "follower";
}

/** What a server says of itself. */
export function reportOf(cluster, id, at) {
  const member = cluster.members.get(id);
  const sample = cluster.samples.get(id).at(-1);
  const last = cluster.index - member.lag;
  return {
    id,
    version: "0.5.0",
    formats: [1, 4],
    cluster_id: CLUSTER_ID,
    uptime_seconds: 187_000 + id * 4000 + Math.round((Date.now() - cluster.startedAt) / 1000),
    at_ms: at + member.clockMs,
    role: id === cluster.leader ? "leader" : member.kind === "learner" ? "learner" : "follower",
    term: cluster.term,
    leader: cluster.leader,
    last_log_index: last,
    last_persisted_index: last,
    commit_index: last,
    last_applied: last,
    snapshot_index: 1_200_000,
    draining: member.isDraining,
    removed_at_index: null,
    live: true,
    ready: member.lag <= IN_STEP_ENTRIES && cluster.leader !== null,
    checks:
      member.lag > IN_STEP_ENTRIES
        ? [
            {
              name: "lag",
              ok: false,
              text: `It is ${member.lag.toLocaleString("en-US")} entries behind the leader.`,
            },
          ]
        : [{ name: "disk", ok: true, text: "The last sync took 0.4 ms." }],
    keys: cluster.store.live.size,
    revision: cluster.store.revision,
    compacted_revision: cluster.store.compacted,
    leases: 3,
    watches: sample?.watches ?? 0,
    sessions: sample?.sessions ?? 0,
    proposals_pending: sample?.proposals_pending ?? 0,
    writes_per_second: sample?.writes_per_second ?? 0,
    reads_per_second: sample?.reads_per_second ?? 0,
    commit_p99_ms: sample?.commit_p99_ms ?? null,
    fsync_p99_ms: member.cause === "disk" ? 240 : (sample?.fsync_p99_ms ?? null),
    log_bytes: sample?.log_bytes ?? 0,
    log_files: 4,
    snapshot_bytes: 52_428_800,
    disk_free_bytes: 312_000_000_000 - id * 9_000_000_000,
    disk_bytes: 500_000_000_000,
    store_bytes: sample?.store_bytes ?? 0,
    store_bytes_max: 0,
    history_bytes: sample?.history_bytes ?? 0,
    history_bytes_max: 268_435_456,
    memory_bytes_used: 4_400_000,
    memory_bytes_max: 268_435_456,
    resident_bytes: sample?.resident_bytes ?? 0,
  };
}

/** What a server measured in a second. */
export function sampleOf(cluster, id, atMs, second) {
  const wave = (period, depth) => 1 + depth * Math.sin((second + id * 17) / period);
  const noise = (depth) => 1 + depth * (cluster.random() - 0.5);
  const isLeader = id === cluster.leader;
  const burst = second % 211 > 200 ? 2.4 : 1;
  const writes = (isLeader ? 3380 : 12) * wave(70, 0.12) * noise(0.1) * cluster.load;
  const behind = Object.fromEntries(
    [...cluster.members.values()]
      .filter((other) => other.id !== id)
      .map((other) => [
        other.id,
        other.isAlive ? other.lag + Math.round(3 * cluster.random()) : null,
      ]),
  );
  return {
    at_ms: atMs,
    is_leader: isLeader ? 1 : 0,
    term: cluster.term,
    committed_per_second:
      cluster.leader === null ? 0 : 3400 * wave(70, 0.12) * noise(0.08) * cluster.load,
    writes_per_second: writes,
    reads_per_second: (isLeader ? 8200 : 2100) * wave(45, 0.2) * noise(0.12),
    failures_per_second: cluster.leader === null ? 14 : 0,
    commit_p50_ms: 0.9 * noise(0.2) * burst,
    commit_p99_ms: 2.2 * noise(0.5) * burst,
    read_p50_ms: 0.3 * noise(0.2),
    read_p99_ms: 0.9 * noise(0.6),
    fsync_p50_ms: 0.4 * noise(0.2) * burst,
    fsync_p99_ms: 1.1 * noise(0.5) * burst,
    apply_p99_ms: 0.2 * noise(0.4),
    turn_max_ms: 0.8 * noise(0.9),
    proposals_pending: Math.round(14 * noise(0.8)),
    behind: isLeader ? behind : null,
    log_bytes: 20_000_000 + ((second + 700) % 240) * 190_000,
    snapshot_bytes: 52_428_800,
    disk_free_bytes: 312_000_000_000 - id * 9_000_000_000,
    store_bytes: 48_200_000 + second * 900,
    history_bytes: 90_000_000 + second * 2_000,
    memory_bytes_used: 4_400_000,
    resident_bytes: 214_000_000 + 3_000_000 * Math.sin(second / 60) + second * 2_000,
    sessions: 42 + (id % 3),
    watches: 12,
  };
}
