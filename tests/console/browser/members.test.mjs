import assert from "node:assert/strict";

import { clusterTest, said, until } from "./harness.mjs";

clusterTest("the leadership is handed over, after a question", {}, async ({ cluster, open }) => {
  const page = await open("#/servers");
  const leader = await cluster.leader();
  const target = cluster.living.find((id) => id !== leader);
  const card = page.locator(`#server-${target}`);
  await card.getByRole("button", { name: "Make it the leader" }).click();
  const dialog = page.getByRole("dialog", { name: `Make server ${target} the leader?` });
  await dialog.getByRole("button", { name: "Cancel" }).click();
  assert.equal(await cluster.leader(), leader);
  await card.getByRole("button", { name: "Make it the leader" }).click();
  await dialog.getByRole("button", { name: "Hand over" }).click();
  await until(async () => (await cluster.leader()) === target, "the target leads");
  await said(page, new RegExp(`^Server ${target} leads in term \\d+\\.$`)).waitFor();
  await card.getByText("leader", { exact: true }).waitFor();
});

clusterTest(
  "a learner is promoted, and the change is seen while it runs",
  { needs: ["learner"] },
  async ({ cluster, open }) => {
    await cluster.addLearner(6);
    const page = await open("#/servers");
    const card = page.locator("#server-6");
    await card.getByRole("button", { name: "Promote" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("row", { name: "Voters 5 6" }).waitFor();
    await dialog.getByRole("button", { name: "Promote" }).click();
    await page.getByText(/^Change \d+: promote 6\./).waitFor();
    await card.getByRole("button", { name: "Promote" }).waitFor({ state: "detached" });
    await page.getByText("6 voters, 4 are needed").waitFor();
  },
);

clusterTest(
  "a refusal is shown with what to do, and nothing happens",
  { canDie: true },
  async ({ cluster, open }) => {
    const server = await cluster.leader();
    const page = await open("#/servers", { server });
    const others = cluster.living.filter((id) => id !== server);
    await cluster.kill(others[0]);
    await cluster.kill(others[1]);
    const card = page.locator(`#server-${others[2]}`);
    await page.locator(`#server-${others[0]}`).getByText("not heard", { exact: true }).waitFor();
    await page.locator(`#server-${others[1]}`).getByText("not heard", { exact: true }).waitFor();
    await card.getByRole("button", { name: "Remove" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("alert").waitFor();
    assert.equal(await dialog.getByRole("button", { name: "Remove" }).isDisabled(), true);
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
    await card.waitFor();
  },
);
