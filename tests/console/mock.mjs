// Mock servers of the console's interface (docs/console-interface.md), one for each member of a
// mock cluster, on free ports of the loopback address. `node tests/console/mock.mjs` serves a
// cluster in which things happen, to look at the page without a build.

import { randomBytes } from "node:crypto";
import { createServer } from "node:http";

import { MockCluster } from "./mock_cluster.mjs";
import { Refusal, answerRequest } from "./mock_routes.mjs";
import { serveFile } from "./mock_files.mjs";

/** The mock servers of a cluster. */
export class MockServers {
  /** Starts a server for each member. */
  static async start(cluster = new MockCluster()) {
    const servers = new MockServers(cluster);
    for (const id of cluster.members.keys()) await servers.listen(id);
    return servers;
  }

  constructor(cluster) {
    this.cluster = cluster;
    this.running = new Map();
    /** A function `(id, path)` that a test sets to answer a request itself: `true` for answered. */
    this.intercept = null;
  }

  /** The address of the page of a server. */
  url(id) {
    return `http://${this.cluster.members.get(id).http}/`;
  }

  async listen(id, port = 0) {
    const server = createServer((request, response) => this.handle(id, request, response));
    // A port that was just given up may still be closing.
    await new Promise((resolve, reject) =>
      server.once("error", reject).listen(port, "127.0.0.1", resolve),
    );
    const address = `127.0.0.1:${server.address().port}`;
    this.cluster.members.get(id).http = address;
    this.running.set(id, { server, token: randomBytes(16).toString("hex") });
  }

  /** Ends a server as kill -9 does: each connection is reset. */
  async kill(id) {
    const { server } = this.running.get(id);
    this.running.delete(id);
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
    this.cluster.kill(id);
  }

  /** Starts a killed server again, at its address, with another token. */
  async restart(id) {
    await this.listen(id, Number(this.cluster.members.get(id).http.split(":")[1]));
    this.cluster.restart(id);
  }

  async stop() {
    this.cluster.stop();
    for (const { server } of this.running.values()) {
      server.closeAllConnections();
      server.close();
    }
  }

  async handle(id, request, response) {
    const url = new URL(request.url, "http://mock");
    try {
      if (await this.intercept?.({ id, path: url.pathname, request, response })) return;
      if (serveFile(url.pathname, this.others(id), response)) return;
      await answerRequest({
        id,
        url,
        request,
        response,
        cluster: this.cluster,
        token: this.running.get(id)?.token,
      });
    } catch (error) {
      const { status, body } = error instanceof Refusal ? error : fault(error);
      response.writeHead(status, {
        "Content-Type": "application/json",
        "Cache-Control": "no-store",
      });
      response.end(JSON.stringify(body));
    }
  }

  others(id) {
    return [...this.cluster.members.values()]
      .filter((member) => member.id !== id && member.http)
      .map((member) => member.http);
  }
}

/** The answer when the mock itself has a fault, so that a test does not wait for ever. */
function fault(error) {
  console.error(error);
  return {
    status: 500,
    body: { error: { code: "internal", text: String(error), may_have_executed: false } },
  };
}

/** Fills a store with keys that look like those of real uses. */
export function fillStore(store) {
  const put = (key, value, options) => store.put(Buffer.from(key), Buffer.from(value), options);
  put("config/checkout/currency", "EUR");
  put(
    "config/checkout/limits",
    '{"max_items":40,"max_total":9007199254740993,"regions":["de","fr","nl"],"strict":true}',
  );
  put("config/feature/new-search", "off");
  put("config/feature/new-search", "10%");
  put("config/feature/new-search", "50%");
  put("config/feature/old-cart", "on");
  store.delete(Buffer.from("config/feature/old-cart"));
  put("config/motd", "Welcome aboard.\nThe harbour opens at six.\n");
  put("lock/nightly-report", "worker-7", { lease: "7587869201" });
  for (let id = 1; id <= 140; id += 1) {
    put(
      `orders/2026/${String(id).padStart(5, "0")}`,
      JSON.stringify({ id, state: ["new", "paid", "sent"][id % 3], total_cents: id * 1299 }),
    );
  }
  put("session/3f9a1c", "user=42", { expires: 1800 });
  put("session/77e0b2", "user=7", { expires: 45 });
  store.put(
    Buffer.from("thumbnails/logo.png"),
    Buffer.from(
      "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAYAAAAf8/9hAAAAFUlEQVR42mNk+M9Qz0AEYBxVSF+FABJADv" +
        "eWkH6oAAAAAElFTkSuQmCC",
      "base64",
    ),
  );
  store.put(
    Buffer.from([0x72, 0x61, 0x77, 0x2f, 0xff, 0xfe, 0x01 + 0x20]),
    Buffer.from("a key that is not UTF-8"),
  );
  put("zebra", "");
}

/** Another client that writes now and then, so that a watch shows something. */
function playClient(store) {
  let number = 140;
  setInterval(() => {
    number += 1;
    store.put(
      Buffer.from(`orders/2026/${String(number).padStart(5, "0")}`),
      Buffer.from(JSON.stringify({ id: number, state: "new" })),
    );
    if (number % 3 === 0)
      store.put(Buffer.from("config/feature/new-search"), Buffer.from(`${number % 100}%`));
  }, 1500);
}

if (process.argv[1] === import.meta.filename) {
  const servers = await MockServers.start();
  fillStore(servers.cluster.store);
  playClient(servers.cluster.store);
  servers.cluster.lag(5, 10_400, "snapshot");
  for (const id of servers.running.keys()) console.log(`server ${id}: ${servers.url(id)}`);
}
