// A cluster that never was: it plays who leads, who is behind and why, for the mock servers. It has
// the same values in each run, because screenshots and tests compare them.

import { EventEmitter } from "node:events";

import { MockStore } from "./mock_store.mjs";

const HOUR_MS = 3_600_000;
const SAMPLES_MAX = 600;
const CLUSTER_ID = "0f3c3e0a9d5c4c0f8a57c9a5f6a1b2c3";
/** The time without a leader after one has died. */
const ELECTION_MS = 250;
const CAUSES = {
  snapshot: "It lacks entries that the leader's log no longer has, and is sent a snapshot.",
  disk: "Its log writes are slow: 1 of 100 syncs takes over 240 ms.",
  network: "Round trips to it take 380 ms.",
  apply: "It has the entries, but applies them slowly.",
  unseen: "The leader does not hear it.",
  catching: "It came back 4 s ago, and gets closer.",
};

/** Emits `change` when a leader, a term or the members change, and `tick` each second. */
export class MockCluster extends EventEmitter {
  constructor({ servers = 5, name = "coracle" } = {}) {
    super();
    this.setMaxListeners(0);
    this.name = name;
    this.store = new MockStore();
    this.startedAt = Date.now();
    this.seed = 42;
    this.index = 1_204_300;
    this.load = 1;
    this.change = null;
    this.ended = [{ number: 912, is_done: true, what: "add 5 as a voter" }];
    this.removed = [];
    this.members = new Map();
    for (let id = 1; id <= servers; id += 1) this.members.set(id, this.newMember(id, "voter"));
    this.terms = [
      { term: 4, leader: 1, began_at_ms: this.startedAt - 52 * HOUR_MS, elected_at_ms: this.startedAt - 52 * HOUR_MS + 180, ended_at_ms: this.startedAt - 49 * HOUR_MS, cause: "start", cause_text: null },
      { term: 5, leader: 2, began_at_ms: this.startedAt - 49 * HOUR_MS, elected_at_ms: this.startedAt - 49 * HOUR_MS + 12, ended_at_ms: this.startedAt - 27 * HOUR_MS, cause: "transfer", cause_text: "Server 1 was drained." },
      { term: 6, leader: null, began_at_ms: this.startedAt - 27 * HOUR_MS, elected_at_ms: null, ended_at_ms: this.startedAt - 27 * HOUR_MS + 310, cause: "timeout", cause_text: "Server 4 did not hear the leader for 240 ms." },
      { term: 7, leader: 3, began_at_ms: this.startedAt - 27 * HOUR_MS + 310, elected_at_ms: this.startedAt - 27 * HOUR_MS + 540, ended_at_ms: null, cause: "split_vote", cause_text: "Servers 3 and 4 were candidates in term 6." },
    ];
    this.samples = new Map();
    for (const id of this.members.keys()) this.samples.set(id, []);
    for (let back = SAMPLES_MAX; back > 0; back -= 1) this.takeSamples(this.startedAt - back * 1000);
    this.timer = setInterval(() => this.tick(), 1000);
  }

  newMember(id, kind) {
    return { id, kind, isAlive: true, lag: 0, cause: null, isDraining: false, http: null, checks: [], log_bytes: 0, snapshot: null, hearing: true, clockMs: 0, seenAt: null };
  }

  get term() {
    return this.terms.at(-1).term;
  }

  get leader() {
    const last = this.terms.at(-1);
    return last.ended_at_ms === null ? last.leader : null;
  }

  get voters() {
    return [...this.members.values()].filter((member) => member.kind === "voter");
  }

  stop() {
    clearInterval(this.timer);
    clearTimeout(this.electing);
    this.removeAllListeners();
  }

  // What happens to it.

  kill(id) {
    const member = this.members.get(id);
    member.isAlive = false;
    member.seenAt = Date.now();
    if (this.leader === id) {
      this.terms.at(-1).ended_at_ms = Date.now();
      this.elect("timeout", `The others did not hear server ${id} for 210 ms.`);
    }
    this.emit("change");
  }

  restart(id) {
    this.members.get(id).isAlive = true;
    if (this.leader === null) this.elect("timeout", "A majority is here again.");
    this.emit("change");
  }

  elect(cause, text, to = null) {
    const living = this.voters.filter((member) => member.isAlive && member.id !== this.terms.at(-1).leader);
    if (this.here < this.needed) return;
    const began = Date.now();
    const term = { term: this.term + 1, leader: null, began_at_ms: began, elected_at_ms: null, ended_at_ms: null, cause, cause_text: text };
    this.terms.push(term);
    clearTimeout(this.electing);
    this.electing = setTimeout(() => {
      term.leader = to ?? living.find((member) => member.lag === 0).id;
      term.elected_at_ms = Date.now();
      this.emit("change");
    }, ELECTION_MS);
  }

  transfer(to) {
    const from = this.leader;
    const now = Date.now();
    this.terms.at(-1).ended_at_ms = now;
    this.terms.push({ term: this.term + 1, leader: to, began_at_ms: now, elected_at_ms: now + 14, ended_at_ms: null, cause: "transfer", cause_text: `Server ${from} handed over.` });
    this.emit("change");
    return { leader: to, term: this.term };
  }

  /** Makes a member lag by so many entries; 0 lets it catch up. */
  lag(id, entries, cause = "snapshot") {
    const member = this.members.get(id);
    member.lag = entries;
    member.cause = entries === 0 ? null : cause;
    member.snapshot = cause === "snapshot" && entries > 0 ? { received_bytes: 19_300_000, bytes: 52_428_800 } : null;
    this.emit("change");
  }

  addLearner(id) {
    this.members.set(id, this.newMember(id, "learner"));
    this.samples.set(id, []);
    this.emit("change");
  }

  /** Begins a change that is over after a while. */
  begin(what, apply) {
    this.index += 1;
    const number = this.index;
    this.change = { number, what, age_ms: 0, waits_for: "the others", at: Date.now() };
    this.emit("change");
    setTimeout(() => {
      if (this.change?.number !== number) return;
      apply();
      this.change = null;
      this.ended.push({ number, is_done: true, what });
      this.emit("change");
    }, 600);
    return number;
  }

  cancel(number) {
    if (this.change?.number !== number) return false;
    this.ended.push({ number, is_done: false, what: this.change.what });
    this.change = null;
    this.emit("change");
    return true;
  }

  remove(id) {
    if (this.leader === id) this.transfer(this.voters.find((it) => it.isAlive && it.id !== id).id);
    this.members.delete(id);
    this.removed.push({ id, index: this.index });
  }

  // What is told of it.

  get here() {
    return this.voters.filter((member) => member.isAlive).length;
  }

  get needed() {
    return Math.floor(this.voters.length / 2) + 1;
  }

  /** The numbers of a plan: as they are, and with another number of voters. */
  plan(voters, here) {
    const needed = Math.floor(voters / 2) + 1;
    const spare = (of, need) => (of < need ? -1 : of - need);
    return {
      voters: [this.voters.length, voters],
      needed: [this.needed, needed],
      here: [this.here, here],
      can_lose: [spare(this.here, this.needed), spare(here, needed)],
    };
  }

  state(self) {
    const now = Date.now();
    const knows = this.leader !== null;
    const last = this.terms.at(-1);
    return {
      at_ms: now,
      server: self,
      cluster: { name: this.name, id: CLUSTER_ID, format: 4 },
      term: this.term,
      leader: this.leader,
      leader_age_ms: now - (knows ? last.elected_at_ms : last.ended_at_ms ?? last.began_at_ms),
      voters: this.voters.length,
      needed: this.needed,
      here: knows ? this.here : null,
      can_lose: knows ? (this.here < this.needed ? -1 : this.here - this.needed) : null,
      members_from: this.leader ?? self,
      members_age_ms: knows ? 80 : 0,
      members: [...this.members.values()].map((member) => this.memberState(member, self, now)),
      change: this.change && { number: this.change.number, what: this.change.what, age_ms: now - this.change.at, waits_for: this.change.waits_for },
      ended: this.ended.slice(-16),
      removed: this.removed.slice(-64),
    };
  }

  memberState(member, self, now) {
    const { id, kind } = member;
    const isLeader = id === this.leader;
    const isUnseen = !member.isAlive;
    const lacks = member.lag > 1000;
    const state = isLeader ? "leader" : this.leader === null ? "unknown" : isUnseen ? "unseen" : lacks ? "catching" : member.isDraining ? "draining" : "follower";
    const cause = isUnseen ? "unseen" : member.cause;
    const ago = isUnseen ? now - member.seenAt : null;
    return {
      id,
      kind,
      state,
      log_address: `127.0.0.1:${8999 + id * 2}`,
      client_address: `127.0.0.1:${8998 + id * 2}`,
      http_address: member.http,
      seen_age_ms: isLeader || this.leader === null ? null : isUnseen ? ago : 8 + id,
      behind_entries: isLeader ? 0 : isUnseen || this.leader === null ? null : member.lag,
      behind_ms: isLeader ? 0 : isUnseen || this.leader === null ? null : Math.round(member.lag / 3.4),
      snapshot: member.snapshot,
      cause,
      cause_text: cause === null ? null : CAUSES[cause],
      report: isUnseen && ago > 600_000 ? null : this.report(id, isUnseen ? member.seenAt : now),
      report_age_ms: isUnseen ? ago : id === self ? 0 : 240 + id,
      report_error: isUnseen && id !== self ? `${member.http} refused the connection.` : null,
    };
  }

  report(id, at) {
    const member = this.members.get(id);
    const sample = this.samples.get(id).at(-1);
    const last = this.index - member.lag;
    return {
      id,
      version: "0.5.0",
      formats: [1, 4],
      cluster_id: CLUSTER_ID,
      uptime_seconds: 187_000 + id * 4000 + Math.round((Date.now() - this.startedAt) / 1000),
      at_ms: at + member.clockMs,
      role: id === this.leader ? "leader" : member.kind === "learner" ? "learner" : "follower",
      term: this.term,
      leader: this.leader,
      last_log_index: last,
      last_persisted_index: last,
      commit_index: last,
      last_applied: last,
      snapshot_index: 1_200_000,
      draining: member.isDraining,
      removed_at_index: null,
      live: true,
      ready: member.lag <= 1000 && this.leader !== null,
      checks: member.lag > 1000
        ? [{ name: "lag", ok: false, text: `It is ${member.lag.toLocaleString("en-US")} entries behind the leader.` }]
        : [{ name: "disk", ok: true, text: "The last sync took 0.4 ms." }],
      keys: this.store.live.size,
      revision: this.store.revision,
      compacted_revision: this.store.compacted,
      leases: 3,
      watches: sample?.watches ?? 0,
      sessions: sample?.sessions ?? 0,
      proposals_pending: sample?.proposals_pending ?? 0,
      writes_per_second: sample?.writes_per_second ?? 0,
      reads_per_second: sample?.reads_per_second ?? 0,
      commit_p99_ms: sample?.commit_p99_ms ?? null,
      fsync_p99_ms: member.cause === "disk" ? 240 : sample?.fsync_p99_ms ?? null,
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

  // Samples.

  tick() {
    this.takeSamples(Date.now());
    this.emit("tick");
  }

  takeSamples(atMs) {
    const second = Math.round((atMs - this.startedAt) / 1000);
    this.index += Math.round(3400 * this.load);
    for (const [id, member] of this.members) {
      if (member.isAlive) this.keep(id, this.sampleOf(id, atMs, second));
    }
  }

  keep(id, sample) {
    const samples = this.samples.get(id);
    samples.push(sample);
    if (samples.length > SAMPLES_MAX) samples.shift();
  }

  sampleOf(id, atMs, second) {
    const wave = (period, depth) => 1 + depth * Math.sin((second + id * 17) / period);
    const noise = (depth) => 1 + depth * (this.random() - 0.5);
    const isLeader = id === this.leader;
    const burst = second % 211 > 200 ? 2.4 : 1;
    const writes = (isLeader ? 3380 : 12) * wave(70, 0.12) * noise(0.1) * this.load;
    const behind = Object.fromEntries([...this.members.values()]
      .filter((other) => other.id !== id)
      .map((other) => [other.id, other.isAlive ? other.lag + Math.round(3 * this.random()) : null]));
    return {
      at_ms: atMs,
      is_leader: isLeader ? 1 : 0,
      term: this.term,
      committed_per_second: this.leader === null ? 0 : 3400 * wave(70, 0.12) * noise(0.08) * this.load,
      writes_per_second: writes,
      reads_per_second: (isLeader ? 8200 : 2100) * wave(45, 0.2) * noise(0.12),
      failures_per_second: this.leader === null ? 14 : 0,
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

  random() {
    this.seed = (this.seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return this.seed / 2_147_483_648;
  }
}
