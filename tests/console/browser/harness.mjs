// Runs a test in a browser page, and looks after what holds in every test: no error in the console,
// and no request to any host but the server of the page.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { chromium } from "playwright-core";

import { findBrowser } from "../browser.mjs";
import { MockDriver } from "./mock_driver.mjs";

/** What the browser itself writes to the console when a server dies under an open connection. The
 * 403 is for a write that carried the token of the process that died, the 503 for a read that
 * found no leader. */
const DEATH =
  /ERR_(CONNECTION_REFUSED|CONNECTION_RESET|INCOMPLETE_CHUNKED_ENCODING|EMPTY_RESPONSE)|of 403|of 503/;

let browser = null;

before(async () => {
  browser = await chromium.launch({ executablePath: findBrowser() });
});

after(() => browser?.close());

/** The cluster that the tests drive. */
export const Driver =
  process.env.CONSOLE_CLUSTER === "real"
    ? (await import("./real_driver.mjs")).RealDriver
    : MockDriver;

/** A test with a cluster of its own. `needs` names what the cluster has to be able to do. */
export function clusterTest(name, { needs = [], canDie = false } = {}, body) {
  const missing = needs.filter((need) => !Driver.can[need]);
  test(
    name,
    { skip: missing.length > 0 && `this cluster cannot: ${missing.join(", ")}` },
    async () => {
      const cluster = await Driver.start();
      const pages = [];
      try {
        await body({
          cluster,
          open: async (...given) => {
            const page = await openPage(cluster, ...given);
            pages.push(page);
            return page;
          },
        });
        for (const page of pages) checkPage(cluster, page, canDie);
      } finally {
        for (const page of pages) await page.context().close();
        await cluster.stop();
      }
    },
  );
}

/** Opens the page of a server, by default one that does not lead. */
async function openPage(cluster, place = "", { server = null, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  page.faults = [];
  page.requests = [];
  page.on("console", (message) => message.type() === "error" && page.faults.push(message.text()));
  page.on("pageerror", (error) => page.faults.push(String(error.stack)));
  page.on("request", (request) => page.requests.push(request.url()));
  await page.goto(cluster.url(server ?? (await cluster.follower())) + place);
  await page.getByText("Live, server").waitFor();
  return page;
}

function checkPage(cluster, page, canDie) {
  const faults = page.faults.filter((text) => !(canDie && DEATH.test(text)));
  assert.deepEqual(faults, [], "the console of the browser has errors");
  const origin = new URL(page.requests[0]).origin;
  const elsewhere = page.requests.filter(
    (url) => !url.startsWith("data:") && new URL(url).origin !== origin,
  );
  if (!canDie) assert.deepEqual(elsewhere, [], "the page asked another host");
  // Once its server is dead the page asks the others whether they live, and goes to one of them.
  const members = cluster.origins();
  assert.deepEqual(
    elsewhere.filter((url) => !members.includes(new URL(url).origin)),
    [],
    "the page asked a stranger",
  );
}

/** The row of a server in the table of the overview. */
export function serverRow(page, id) {
  return page.locator("table.cards tbody tr", {
    has: page.getByText(`Server ${id}`, { exact: true }),
  });
}

/** The sentence about what was done, with this text. */
export function said(page, text) {
  return page.locator(".said", { hasText: text });
}

/** Waits until a condition of the cluster holds. */
export async function until(condition, what) {
  for (let tries = 0; tries < 500; tries += 1) {
    const value = await condition();
    if (value) return value;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`This did not come about: ${what}`);
}
