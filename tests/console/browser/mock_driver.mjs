// The cluster of the browser tests, played by the mock servers. What the tests do to a cluster goes
// through these methods, so that the same tests can drive real servers (docs/console-interface.md).

import { MockServers, fillStore } from "../mock.mjs";

/** A cluster of five, with the keys of `fillStore`. */
export class MockDriver {
  /** What this cluster can do beyond running, dying and serving keys. */
  static can = { lag: true, learner: true, intercept: true };

  static async start() {
    const driver = new MockDriver();
    driver.servers = await MockServers.start();
    fillStore(driver.servers.cluster.store);
    return driver;
  }

  get cluster() {
    return this.servers.cluster;
  }

  /** The ids of the members that run. */
  get living() {
    return [...this.servers.running.keys()];
  }

  /** The origins of the pages of all members, the dead ones too. */
  origins() {
    return [...this.cluster.members.values()].map((member) => `http://${member.http}`);
  }

  url(id) {
    return this.servers.url(id);
  }

  async leader() {
    while (this.cluster.leader === null) await new Promise((resolve) => setTimeout(resolve, 20));
    return this.cluster.leader;
  }

  /** A member that does not lead. */
  async follower() {
    const leader = await this.leader();
    return this.living.find((id) => id !== leader);
  }

  kill(id) {
    return this.servers.kill(id);
  }

  restart(id) {
    return this.servers.restart(id);
  }

  /** Another client writes. */
  async put(key, value) {
    return this.cluster.store.put(Buffer.from(key), Buffer.from(value));
  }

  /** Another client deletes. */
  async delete(key) {
    return this.cluster.store.delete(Buffer.from(key));
  }

  /** The bytes of a key, or `null`. */
  async get(key) {
    const { value } = this.cluster.store.get(Buffer.from(key), this.cluster.store.revision);
    return value === null ? null : Buffer.from(value, "base64");
  }

  /** Forgets the past before the current revision. */
  async compact() {
    this.cluster.store.compact(this.cluster.store.revision);
  }

  stop() {
    return this.servers.stop();
  }

  // Only here: what real servers cannot be told to play.

  lag(id, entries, cause) {
    this.cluster.lag(id, entries, cause);
  }

  addLearner(id) {
    this.cluster.addLearner(id);
    return this.servers.listen(id);
  }

  intercept(answer) {
    this.servers.intercept = answer;
  }
}
