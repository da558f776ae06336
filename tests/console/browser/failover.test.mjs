import assert from "node:assert/strict";

import { clusterTest, said, until } from "./harness.mjs";

const KEY = "#/keys?prefix=config%2F&key=config%2Fmotd";

clusterTest(
  "the page survives the death of its server, at the same place",
  { canDie: true },
  async ({ cluster, open }) => {
    const leader = await cluster.leader();
    const page = await open(KEY, { server: leader });
    await page.getByRole("heading", { name: "config/motd" }).waitFor();
    const start = performance.now();
    await cluster.kill(leader);
    await said(page, `Moved here, because server ${leader} does not answer.`).waitFor();
    console.log(`# the page had moved ${Math.round(performance.now() - start)} ms after the kill`);
    await page.getByRole("heading", { name: "config/motd" }).waitFor();
    await page.getByText("Live, server").waitFor();
    assert.ok(
      cluster.living.some((id) => page.url().startsWith(cluster.url(id))),
      page.url(),
    );
    assert.match(page.url(), /key=config%2Fmotd$/, "how it came here is not left in the address");
  },
);

clusterTest(
  "a page that can stay waits for its own server",
  { canDie: true },
  async ({ cluster, open }) => {
    const server = await cluster.follower();
    const page = await open("#/servers", { server });
    await cluster.kill(server);
    await page.getByText(`Server ${server} does not answer.`).waitFor();
    await page.getByRole("button", { name: "Stay here" }).click();
    await cluster.restart(server);
    await page.getByText("Live, server").waitFor();
    assert.ok(page.url().startsWith(cluster.url(server)));
    // The token of the server's new process is another one.
    await page.goto(cluster.url(server) + KEY);
    await page.getByRole("button", { name: "Edit" }).click();
    await page.getByLabel("Value", { exact: true }).fill("after the restart");
    await page.getByRole("button", { name: "Save" }).click();
    await said(page, /^Saved as revision/).waitFor();
  },
);

clusterTest(
  "an edit is neither lost nor taken along unasked",
  { canDie: true },
  async ({ cluster, open }) => {
    const server = await cluster.follower();
    const page = await open(KEY, { server });
    await page.getByRole("button", { name: "Edit" }).click();
    await page.getByLabel("Value", { exact: true }).fill("unsaved ü \u{1f6f6}");
    await cluster.kill(server);
    await page.getByText("Your edit goes along when you move.").waitFor();
    await page.waitForTimeout(1500);
    assert.ok(page.url().startsWith(cluster.url(server)));
    await page.locator(".banner a.button-main").click();
    await said(page, "Moved here").waitFor();
    await page.getByText("This edit came with the address of the page.").waitFor();
    assert.equal(
      await page.getByLabel("Value", { exact: true }).inputValue(),
      "unsaved ü \u{1f6f6}",
    );
    await page.getByRole("button", { name: "Save" }).click();
    await until(
      async () => String(await cluster.get("config/motd")) === "unsaved ü \u{1f6f6}",
      "the edit is stored",
    );
  },
);

clusterTest(
  "a server that restarts under the page gets the next write",
  { canDie: true },
  async ({ cluster, open }) => {
    const server = await cluster.follower();
    const page = await open(KEY, { server });
    await page.getByRole("button", { name: "Edit" }).click();
    await page.getByLabel("Value", { exact: true }).fill("across a restart");
    await cluster.kill(server);
    await cluster.restart(server);
    await page.getByText("Live, server").waitFor();
    await page.getByRole("button", { name: "Save" }).click();
    await until(
      async () => String(await cluster.get("config/motd")) === "across a restart",
      "the edit is stored",
    );
  },
);
