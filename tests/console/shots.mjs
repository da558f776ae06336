// Screenshots of each view, light, dark and on a phone, for a person to look at:
// `node tests/console/shots.mjs [directory]`.

import { mkdirSync } from "node:fs";
import { join } from "node:path";

import { chromium } from "playwright-core";

import { MockServers, fillStore } from "./mock.mjs";
import { findBrowser } from "./browser.mjs";

const DIRECTORY = process.argv[2] ?? join(import.meta.dirname, "shots");
const SCENES = [
  { name: "light", viewport: { width: 1440, height: 900 }, colorScheme: "light" },
  { name: "dark", viewport: { width: 1440, height: 900 }, colorScheme: "dark" },
  {
    name: "phone",
    viewport: { width: 390, height: 844 },
    colorScheme: "light",
    isMobile: true,
    deviceScaleFactor: 2,
    hasTouch: true,
  },
];
const PLACES = {
  overview: "overview",
  servers: "servers",
  keys: "keys?prefix=config%2F",
  key: "keys?prefix=config%2F&key=config%2Fcheckout%2Flimits",
  versions: "keys?prefix=config%2F&key=config%2Ffeature%2Fnew-search&pane=versions",
  watch: "keys?prefix=orders%2F&pane=watch",
  editor: "keys?prefix=config%2F&key=config%2Ffeature%2Fnew-search",
  conflict: "keys?prefix=config%2F&key=config%2Fmotd",
  remove: "servers",
  terms: "terms",
};

mkdirSync(DIRECTORY, { recursive: true });
const servers = await MockServers.start();
fillStore(servers.cluster.store);
servers.cluster.lag(5, 10_400, "snapshot");
const browser = await chromium.launch({ executablePath: findBrowser() });
for (const { name, ...options } of SCENES) {
  const page = await browser.newPage(options);
  page.on("console", (message) => console.log(name, message.type(), message.text()));
  page.on("pageerror", (error) => console.log(name, "error", error.stack));
  for (const [place, hash] of Object.entries(PLACES)) {
    await page.goto(`${servers.url(3)}#/${hash}`);
    await page.waitForTimeout(900);
    if (place === "watch") {
      for (let number = 0; number < 9; number += 1)
        servers.cluster.store.put(
          Buffer.from(`orders/2026/${20_000 + number}`),
          Buffer.from(`{"state":"new","n":${number}}`),
        );
      await page.waitForTimeout(300);
    }
    if (place === "editor" || place === "conflict") {
      await page.getByRole("button", { name: "Edit" }).click();
      await page
        .getByLabel("Value", { exact: true })
        .fill("Welcome to the harbour.\nIt opens at seven.\n");
    }
    if (place === "conflict") {
      const text = `Welcome aboard.\nThe harbour is closed on day ${name.length}.\n`;
      servers.cluster.store.put(Buffer.from("config/motd"), Buffer.from(text));
      await page.waitForTimeout(300);
    }
    if (place === "remove") {
      await page.getByRole("button", { name: "Remove" }).nth(1).click();
      await page.waitForTimeout(200);
    }
    await page.mouse.move(place === "overview" ? 700 : 0, place === "overview" ? 700 : 0);
    await page.waitForTimeout(100);
    await page.screenshot({
      path: join(DIRECTORY, `${name}-${place}.png`),
      fullPage: place !== "remove",
    });
    if (place === "editor" || place === "conflict") {
      page.once("dialog", (dialog) => dialog.accept());
      await page.reload();
    }
  }
  await page.close();
}
for (const { name, ...options } of SCENES) {
  const page = await browser.newPage(options);
  await page.goto(`${servers.url(1)}#/overview`);
  await page.waitForTimeout(500);
  const victims = [5, 4].filter((id) => servers.running.has(id));
  for (const id of victims) await servers.kill(id);
  await page.waitForTimeout(500);
  await page.screenshot({ path: join(DIRECTORY, `${name}-unseen.png`) });
  await servers.kill(3);
  await page.waitForTimeout(500);
  await page.screenshot({ path: join(DIRECTORY, `${name}-bad.png`) });
  await servers.kill(1);
  await page.getByRole("button", { name: "Stay here" }).click();
  await page.screenshot({ path: join(DIRECTORY, `${name}-lost.png`) });
  await page.close();
  for (const id of [1, 3, 4, 5]) await servers.restart(id);
  servers.cluster.lag(5, 0);
  await new Promise((resolve) => setTimeout(resolve, 600));
}
await browser.close();
await servers.stop();
