// The cluster of the browser tests as five real servers: `CONSOLE_CLUSTER=real`. `CONSOLE_BINARY`
// is the program, by default the debug build of these sources. Another client is the text protocol.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createConnection, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { fillStore } from "../mock.mjs";

const BINARY =
  process.env.CONSOLE_BINARY ?? join(import.meta.dirname, "../../../target/debug/coracle");
const SERVERS = [1, 2, 3, 4, 5];
const START_MS = 20_000;

/** A cluster of five, with the keys of `fillStore`. */
export class RealDriver {
  /** Real servers cannot be told to play these. */
  static can = {};

  static async start() {
    const driver = new RealDriver();
    try {
      await driver.found();
    } catch (error) {
      await driver.stop();
      throw error;
    }
    return driver;
  }

  constructor() {
    this.directory = mkdtempSync(join(tmpdir(), "coracle-console-"));
    this.processes = new Map();
    this.ports = new Map();
  }

  async found() {
    const free = await freePorts(SERVERS.length * 3);
    for (const id of SERVERS) {
      const [client, log, http] = free.splice(0, 3);
      this.ports.set(id, { client, log, http });
    }
    const lines = [`data_dir = ${JSON.stringify(join(this.directory, "data"))}`];
    for (const [id, { client, log, http }] of this.ports) {
      lines.push(
        "[[servers]]",
        `id = ${id}`,
        'hostname = "127.0.0.1"',
        `client_port = ${client}`,
        `log_port = ${log}`,
        `http_port = ${http}`,
      );
    }
    writeFileSync(join(this.directory, "servers.toml"), `${lines.join("\n")}\n`);
    for (const id of SERVERS) this.spawn(id);
    await this.leader();
    await this.fill();
  }

  spawn(id) {
    const child = spawn(
      BINARY,
      ["serve", "--config", join(this.directory, "servers.toml"), "--id", String(id)],
      { stdio: "ignore" },
    );
    child.on("error", (error) => console.error(`server ${id}: ${error.message}`));
    this.processes.set(id, child);
  }

  /** Writes the keys of `fillStore` one after the other, in its order. */
  async fill() {
    const steps = [];
    fillStore({
      put: (key, value, options = {}) => steps.push(() => this.write(key, value, options)),
      delete: (key) => steps.push(() => this.delete(key)),
    });
    await this.grant(86_400, 7_587_869_201);
    for (const step of steps) await step();
  }

  /** Grants a lease, as soon as the format of the new cluster has leases. */
  async grant(seconds, id) {
    const until = Date.now() + START_MS;
    let reply;
    do {
      reply = String(await this.ask(`grant ${seconds} ${id}\r\n`));
      if (reply.startsWith("LEASE")) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    } while (Date.now() < until);
    fail("grant", reply);
  }

  /** The ids of the members that run. */
  get living() {
    return [...this.processes.keys()];
  }

  /** The origins of the pages of all members, the dead ones too. */
  origins() {
    return [...this.ports.values()].map(({ http }) => `http://127.0.0.1:${http}`);
  }

  url(id) {
    return `http://127.0.0.1:${this.ports.get(id).http}/`;
  }

  /** The leader that a majority of the living servers follows. */
  async leader() {
    const until = Date.now() + START_MS;
    while (Date.now() < until) {
      const answers = await Promise.all(this.living.map((id) => this.status(id).catch(() => null)));
      const leaders = answers
        .map((status) => status?.leader)
        .filter((leader) => leader && leader !== "none");
      const leader = leaders.find(
        (it) => leaders.filter((other) => other === it).length > SERVERS.length / 2,
      );
      if (leader && this.processes.has(Number(leader))) return Number(leader);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error("no server leads");
  }

  /** A member that does not lead. */
  async follower() {
    const leader = await this.leader();
    return this.living.find((id) => id !== leader);
  }

  async kill(id) {
    const child = this.processes.get(id);
    this.processes.delete(id);
    const exit = once(child, "exit");
    child.kill("SIGKILL");
    await exit;
  }

  async restart(id) {
    this.spawn(id);
  }

  /** Another client writes. */
  put(key, value) {
    return this.write(Buffer.from(key), Buffer.from(value), {});
  }

  async write(key, value, { expires = 0, lease = null }) {
    const bytes = Buffer.from(value);
    const options = lease === null ? "" : ` lease ${lease}`;
    const head = Buffer.concat([
      Buffer.from("set "),
      Buffer.from(key),
      Buffer.from(` ${expires} ${bytes.length}${options}\r\n`),
    ]);
    const reply = String(await this.ask(Buffer.concat([head, bytes, Buffer.from("\r\n")])));
    const [, version] = /^OK (\d+)/.exec(reply) ?? fail("set", reply);
    return Number(version);
  }

  /** Another client deletes. */
  async delete(key) {
    const reply = String(
      await this.ask(
        Buffer.concat([Buffer.from("delete "), Buffer.from(key), Buffer.from("\r\n")]),
      ),
    );
    return reply.startsWith("DELETED") || fail("delete", reply);
  }

  /** The bytes of a key, or `null`. */
  async get(key) {
    const reply = await this.ask(
      Buffer.concat([Buffer.from("get "), Buffer.from(key), Buffer.from("\r\n")]),
    );
    if (String(reply).startsWith("ERR_NOT_FOUND")) return null;
    const end = reply.indexOf("\r\n");
    const [, length] = /^VALUE (\d+)/.exec(String(reply)) ?? fail("get", reply);
    return reply.subarray(end + 2, end + 2 + Number(length));
  }

  /** Forgets the past before the current revision. */
  async compact() {
    const { revision } = await this.status(await this.leader());
    const reply = String(await this.ask(`compact ${revision}\r\n`));
    return reply.startsWith("OK") || fail("compact", reply);
  }

  async status(id) {
    const text = String(await converse(this.ports.get(id).client, "status\r\nquit\r\n"));
    return Object.fromEntries(
      [...text.matchAll(/^(\w+) (.*?)\r$/gm)].map(([, name, value]) => [name, value]),
    );
  }

  /** One command at the leader. */
  async ask(command) {
    const { client } = this.ports.get(await this.leader());
    return converse(client, Buffer.concat([Buffer.from(command), Buffer.from("quit\r\n")]));
  }

  async stop() {
    await Promise.all(this.living.map((id) => this.kill(id)));
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Sends bytes, and reads until the server closes. */
function converse(port, bytes) {
  return new Promise((resolve, reject) => {
    const parts = [];
    const socket = createConnection({ host: "127.0.0.1", port }, () => socket.write(bytes));
    socket.setTimeout(START_MS, () => socket.destroy(new Error("the server is silent")));
    socket.on("data", (part) => parts.push(part));
    socket.on("end", () => resolve(Buffer.concat(parts)));
    socket.on("error", reject);
  });
}

/** Ports that were free a moment ago, all different. */
async function freePorts(count) {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise((resolve, reject) => {
          const server = createServer()
            .once("error", reject)
            .listen(0, "127.0.0.1", () => resolve(server));
        }),
    ),
  );
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

function fail(command, reply) {
  throw new Error(`${command} was answered with ${String(reply).trim()}`);
}
