import assert from "node:assert/strict";

import { clusterTest, serverRow } from "./harness.mjs";

clusterTest("a person reads who leads and that all is well", {}, async ({ cluster, open }) => {
  const page = await open();
  const leader = await cluster.leader();
  await page
    .getByRole("heading", {
      level: 1,
      name: `Server ${leader} leads, and all 5 servers are in step.`,
    })
    .waitFor();
  await page.getByText("2 voters of 5 may fail before writes stop.").waitFor();
  assert.equal(await page.locator("table.cards tbody tr").count(), 5);
  await serverRow(page, leader).getByText("leader", { exact: true }).waitFor();
  assert.match(await page.title(), new RegExp(`^${leader} leads`));
});

clusterTest("the plots are drawn, and move", {}, async ({ open }) => {
  const page = await open();
  const writes = page.locator("figure", { hasText: "Commands" }).locator("path.series-main");
  await page.waitForFunction(() => document.querySelectorAll("figure path.series").length >= 12);
  const before = await writes.getAttribute("d");
  await page.waitForFunction(
    (old) => document.querySelector("figure path.series-main").getAttribute("d") !== old,
    before,
  );
  const said = await page.getByRole("img").first().getAttribute("aria-label");
  assert.match(said, /^Commands\. writes: now .*, lowest .*, highest /);
});

clusterTest(
  "the death of the leader is seen at once",
  { canDie: true },
  async ({ cluster, open }) => {
    const page = await open();
    const leader = await cluster.leader();
    await page.getByRole("heading", { level: 1, name: `Server ${leader} leads` }).waitFor();
    const start = performance.now();
    await cluster.kill(leader);
    await page.waitForFunction((old) => {
      const [, now] = document.querySelector("h1").textContent.match(/^Server (\d+) leads/) ?? [];
      return now !== undefined && now !== old;
    }, String(leader));
    console.log(
      `# the page named the new leader ${Math.round(performance.now() - start)} ms after the kill`,
    );
    const now = await cluster.leader();
    await page
      .getByRole("heading", {
        level: 1,
        name: `Server ${now} leads; server ${leader} is not heard.`,
      })
      .waitFor();
    await page.getByText("1 voter of 5 may fail").waitFor();
    await serverRow(page, leader).getByText("not heard", { exact: true }).waitFor();
    await page.getByRole("link", { name: "Terms" }).click();
    await page
      .locator("table.cards tbody tr")
      .first()
      .getByText(`Server ${now}`, { exact: true })
      .waitFor();
    await page
      .locator("table.cards tbody tr")
      .first()
      .getByText("the leader was not heard")
      .waitFor();
  },
);

clusterTest(
  "too few servers are told as what they are",
  { canDie: true },
  async ({ cluster, open }) => {
    const server = await cluster.follower();
    const page = await open("", { server });
    for (const id of cluster.living.filter((it) => it !== server).slice(0, 3))
      await cluster.kill(id);
    await page.locator(".verdict-bad").waitFor();
    await page
      .getByText(/Nothing can be written until one is elected|are needed\. Start one/)
      .first()
      .waitFor();
  },
);

clusterTest(
  "a follower that lags is shown with why",
  { needs: ["lag"] },
  async ({ cluster, open }) => {
    const page = await open();
    cluster.lag(5, 10_400, "disk");
    await serverRow(page, 5).getByText("catching up").waitFor();
    await serverRow(page, 5).getByText("Its log writes are slow").waitFor();
    await page.getByRole("heading", { level: 1, name: /server 5 is not in step/ }).waitFor();
    cluster.lag(5, 0);
    await page.getByRole("heading", { level: 1, name: /all 5 servers are in step/ }).waitFor();
  },
);
