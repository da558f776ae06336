// A cluster that never was: it plays who leads, who is behind and why, for the mock servers. It has
// the same values in each run, because screenshots and tests compare them.

import { EventEmitter } from "node:events";

import { MockStore } from "./mock_store.mjs";
import { CLUSTER_ID, memberOf, sampleOf } from "./mock_numbers.mjs";

const HOUR_MS = 3_600_000;
const SAMPLES_MAX = 600;
/** The time without a leader after one has died. */
const ELECTION_MS = 250;
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
      {
        term: 4,
        leader: 1,
        began_at_ms: this.startedAt - 52 * HOUR_MS,
        elected_at_ms: this.startedAt - 52 * HOUR_MS + 180,
        ended_at_ms: this.startedAt - 49 * HOUR_MS,
        cause: "start",
        cause_text: null,
      },
      {
        term: 5,
        leader: 2,
        began_at_ms: this.startedAt - 49 * HOUR_MS,
        elected_at_ms: this.startedAt - 49 * HOUR_MS + 12,
        ended_at_ms: this.startedAt - 27 * HOUR_MS,
        cause: "transfer",
        cause_text: "Server 1 was drained.",
      },
      {
        term: 6,
        leader: null,
        began_at_ms: this.startedAt - 27 * HOUR_MS,
        elected_at_ms: null,
        ended_at_ms: this.startedAt - 27 * HOUR_MS + 310,
        cause: "timeout",
        cause_text: "Server 4 did not hear the leader for 240 ms.",
      },
      {
        term: 7,
        leader: 3,
        began_at_ms: this.startedAt - 27 * HOUR_MS + 310,
        elected_at_ms: this.startedAt - 27 * HOUR_MS + 540,
        ended_at_ms: null,
        cause: "split_vote",
        cause_text: "Servers 3 and 4 were candidates in term 6.",
      },
    ];
    this.samples = new Map();
    for (const id of this.members.keys()) this.samples.set(id, []);
    for (let back = SAMPLES_MAX; back > 0; back -= 1)
      this.takeSamples(this.startedAt - back * 1000);
    this.timer = setInterval(() => this.tick(), 1000);
  }

  newMember(id, kind) {
    return {
      id,
      kind,
      isAlive: true,
      lag: 0,
      cause: null,
      isDraining: false,
      http: null,
      checks: [],
      log_bytes: 0,
      snapshot: null,
      hearing: true,
      clockMs: 0,
      seenAt: null,
    };
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
    } else if (this.here < this.needed) {
      setTimeout(() => this.stepDown(), ELECTION_MS);
    }
    this.emit("change");
  }

  restart(id) {
    this.members.get(id).isAlive = true;
    if (this.leader === null) this.elect("timeout", "A majority is here again.");
    this.emit("change");
  }

  elect(cause, text) {
    if (this.here < this.needed) return;
    const began = Date.now();
    const term = {
      term: this.term + 1,
      leader: null,
      began_at_ms: began,
      elected_at_ms: null,
      ended_at_ms: null,
      cause,
      cause_text: text,
    };
    const before = this.terms.at(-1);
    before.ended_at_ms ??= began;
    this.terms.push(term);
    clearTimeout(this.electing);
    this.electing = setTimeout(() => this.finishElection(term, before.leader), ELECTION_MS);
  }

  /** Whoever is alive by now is elected, the last leader only if there is nobody else. */
  finishElection(term, lastLeader) {
    if (this.here < this.needed) return;
    const able = this.voters.filter((member) => member.isAlive && member.lag === 0);
    const { id } = able.find((member) => member.id !== lastLeader) ?? able[0];
    term.leader = id;
    term.elected_at_ms = Date.now();
    this.emit("change");
  }

  /** A leader that hears too few leads no more. */
  stepDown() {
    if (this.leader === null || this.here >= this.needed) return;
    this.terms.at(-1).ended_at_ms = Date.now();
    this.emit("change");
  }

  transfer(to) {
    const from = this.leader;
    const now = Date.now();
    this.terms.at(-1).ended_at_ms = now;
    this.terms.push({
      term: this.term + 1,
      leader: to,
      began_at_ms: now,
      elected_at_ms: now + 14,
      ended_at_ms: null,
      cause: "transfer",
      cause_text: `Server ${from} handed over.`,
    });
    this.emit("change");
    return { leader: to, term: this.term };
  }

  /** Makes a member lag by so many entries; 0 lets it catch up. */
  lag(id, entries, cause = "snapshot") {
    const member = this.members.get(id);
    member.lag = entries;
    member.cause = entries === 0 ? null : cause;
    member.snapshot =
      cause === "snapshot" && entries > 0
        ? { received_bytes: 19_300_000, bytes: 52_428_800 }
        : null;
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
      leader_age_ms: now - (knows ? last.elected_at_ms : (last.ended_at_ms ?? last.began_at_ms)),
      voters: this.voters.length,
      needed: this.needed,
      here: knows ? this.here : null,
      can_lose: knows ? (this.here < this.needed ? -1 : this.here - this.needed) : null,
      members_from: this.leader ?? self,
      members_age_ms: knows ? 80 : 0,
      members: [...this.members.values()].map((member) => memberOf(this, member, self, now)),
      change: this.change && {
        number: this.change.number,
        what: this.change.what,
        age_ms: now - this.change.at,
        waits_for: this.change.waits_for,
      },
      ended: this.ended.slice(-16),
      removed: this.removed.slice(-64),
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
      if (member.isAlive) this.keep(id, sampleOf(this, id, atMs, second));
    }
  }

  keep(id, sample) {
    const samples = this.samples.get(id);
    samples.push(sample);
    if (samples.length > SAMPLES_MAX) samples.shift();
  }

  random() {
    this.seed = (this.seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return this.seed / 2_147_483_648;
  }
}
