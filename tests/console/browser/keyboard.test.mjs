import assert from "node:assert/strict";

import { clusterTest, said, until } from "./harness.mjs";

const focused = (page) =>
  page.evaluate(() => {
    const node = document.activeElement;
    return {
      id: node.id,
      text: node.textContent.trim(),
      isVisible: node.matches(":focus-visible"),
      outline: getComputedStyle(node).outlineStyle,
    };
  });

clusterTest("everything is done by keyboard alone", {}, async ({ cluster, open }) => {
  const page = await open();
  const { keyboard } = page;
  await keyboard.press("Tab");
  assert.equal((await focused(page)).text, "Skip to the content");
  await keyboard.press("Enter");
  assert.equal((await focused(page)).id, "main");
  await page.getByRole("heading", { level: 1, name: /leads/ }).waitFor();

  await keyboard.type("gk");
  await page.locator(".key-row").first().waitFor();
  await keyboard.press("/");
  assert.equal((await focused(page)).id, "prefix");
  await keyboard.type("config/");
  await page.waitForFunction(() => document.querySelectorAll(".key-row").length === 4);
  await keyboard.press("Escape");
  for (const expected of ["config/checkout/currency", "config/checkout/limits"]) {
    await keyboard.press("j");
    const { text, isVisible, outline } = await focused(page);
    assert.ok(text.startsWith(expected), text);
    assert.ok(isVisible && outline !== "none", "the focus can be seen");
  }
  await keyboard.press("k");
  await keyboard.press("Enter");
  await page.getByRole("heading", { name: "config/checkout/currency" }).waitFor();
  await page.getByLabel("The value", { exact: true }).waitFor();
  await keyboard.press("e");
  await page.waitForFunction(() => document.activeElement.id === "value");
  await keyboard.press("Control+A");
  await keyboard.type("CHF, typed: gk?/");
  await keyboard.press("Control+Enter");
  await until(
    async () => String(await cluster.get("config/checkout/currency")) === "CHF, typed: gk?/",
    "the edit is stored",
  );
  await said(page, /^Saved as revision/).waitFor();

  await keyboard.press("v");
  await page.getByRole("heading", { name: "Versions" }).waitFor();
  await keyboard.press("w");
  await page.getByRole("heading", { name: /Changes of/ }).waitFor();
  await keyboard.press("Escape");
  await page.getByText("Choose a key to see its value").waitFor();

  await keyboard.press("?");
  await page.getByRole("dialog", { name: "Keyboard" }).waitFor();
  await keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await keyboard.type("gt");
  await page.getByRole("heading", { level: 1, name: "Terms" }).waitFor();
  await keyboard.type("gs");
  await page.getByRole("heading", { level: 1, name: "Servers" }).waitFor();
});

clusterTest(
  "a member is removed by keyboard, after its id was typed",
  {},
  async ({ cluster, open }) => {
    const page = await open("#/servers");
    const leader = await cluster.leader();
    const id = cluster.living.findLast((it) => it !== leader);
    await page.locator(`#server-${id}`).getByRole("button", { name: "Remove" }).focus();
    await page.keyboard.press("Enter");
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("row", { name: "Voters 5 4" }).waitFor();
    await dialog.getByRole("row", { name: "May fail 2 1" }).waitFor();
    const input = dialog.getByLabel(`To go on, type ${id}`);
    await page.waitForFunction(() => document.activeElement.name === "typed");
    await page.keyboard.type("99");
    assert.equal(await dialog.getByRole("button", { name: "Remove" }).isDisabled(), true);
    await input.selectText();
    await page.keyboard.type(String(id));
    await dialog.getByRole("button", { name: "Remove", disabled: false }).waitFor();
    await page.keyboard.press("Enter");
    await dialog.waitFor({ state: "detached" });
    await page.locator(`#server-${id}`).waitFor({ state: "detached" });
    await page.getByText("4 voters, 3 are needed").waitFor();
  },
);

clusterTest(
  "what is pushed takes neither the focus nor the selection away",
  {},
  async ({ cluster, open }) => {
    const page = await open("#/keys?key=config%2Fmotd");
    await page.getByRole("button", { name: "Edit" }).click();
    const editor = page.getByLabel("Value", { exact: true });
    await editor.fill("0123456789");
    await editor.evaluate((node) => node.setSelectionRange(3, 6));
    await cluster.put("config/motd", "a conflict appears above the field");
    await page.getByText("Somebody else wrote this key").waitFor();
    await page.waitForTimeout(1200);
    const state = await page.evaluate(() => [
      document.activeElement.id,
      document.activeElement.selectionStart,
      document.activeElement.selectionEnd,
    ]);
    assert.deepEqual(state, ["value", 3, 6]);
  },
);

clusterTest("a plot is read by keyboard, moment by moment", {}, async ({ open }) => {
  const page = await open("#/overview", { reducedMotion: "reduce" });
  const commands = page.getByRole("img", { name: /^Commands\./ });
  await page.waitForFunction(() => document.querySelectorAll("figure path.series").length >= 12);
  await commands.focus();
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("ArrowLeft");
  // All plots show the same moment.
  const marks = page.locator(".axis-cursor");
  await marks.first().waitFor();
  const times = await marks.allTextContents();
  assert.ok(times.length > 5, `${times.length} plots show the moment`);
  assert.equal(new Set(times).size, 1);
  await page.keyboard.press("Escape");
  await marks.first().waitFor({ state: "detached" });
});
