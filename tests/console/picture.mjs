// The picture of the README: the console of five real servers under a little load, of which the
// leader was killed once. `CONSOLE_BINARY=target/release/coracle node tests/console/picture.mjs`
// writes docs/pictures/console.png, or the file that is named.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

import { chromium } from "playwright-core";

import { findBrowser } from "./browser.mjs";
import { RealDriver } from "./browser/real_driver.mjs";

const FILE =
  process.argv[2] ?? join(import.meta.dirname, "../../docs/pictures/console.png");
/** Commands a second, each for some seconds. The picture is taken at the end of the last one. */
const RATES = [
  [250, 10],
  [400, 20],
  [200, 20],
  [350, 60],
];
/** The step before which the leader is killed. */
const KILL_BEFORE = 1;
const BROUGHT_BACK_MS = 4_000;
const TAKEN_AFTER_MS = 20_000;

const cluster = await RealDriver.start();
const browser = await chromium.launch({ executablePath: findBrowser() });
const options = { viewport: { width: 1280, height: 725 }, colorScheme: "light" };
const page = await browser.newPage(options);

/** Loads the cluster with `coracle bench`. */
async function load(rate, seconds) {
  const config = join(cluster.directory, "servers.toml");
  const words = ["bench", "--config", config, "--rate", rate, "--duration-s", seconds];
  const more = ["--read-percent", 70, "--value-bytes", 100, "--clients", 8, "--keys", 2000];
  const binary = cluster.processes.values().next().value.spawnfile;
  const bench = spawn(binary, [...words, ...more].map(String), { stdio: "ignore" });
  await once(bench, "exit");
}

try {
  for (const [step, [rate, seconds]] of RATES.entries()) {
    if (step === KILL_BEFORE) {
      const dead = await cluster.leader();
      await cluster.kill(dead);
      await new Promise((resolve) => setTimeout(resolve, BROUGHT_BACK_MS));
      await cluster.restart(dead);
    }
    const loaded = load(rate, seconds);
    if (step < RATES.length - 1) await loaded;
  }
  await page.goto(`${cluster.url(await cluster.leader())}#/overview`);
  await page.locator('input[name="window"][value="60000"]').check({ force: true });
  await page.waitForTimeout(TAKEN_AFTER_MS);
  await page.mouse.move(0, 0);
  await page.screenshot({ path: FILE });
} finally {
  await browser.close();
  await cluster.stop();
}
