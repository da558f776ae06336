import assert from "node:assert/strict";

import { clusterTest, said, until } from "./harness.mjs";

const place = (key, more = "") => `#/keys?key=${encodeURIComponent(key)}${more}`;
const valueOf = (page) => page.getByLabel("The value", { exact: true });
const editorOf = (page) => page.getByLabel("Value", { exact: true });

clusterTest("keys are found by their prefix, page after page", {}, async ({ open }) => {
  const page = await open("#/keys");
  await page.getByLabel("Prefix of the keys").fill("orders/");
  const rows = page.locator(".key-row");
  await page.waitForFunction(
    () =>
      document.querySelectorAll(".key-row").length === 100 &&
      document.querySelector(".key-name").textContent.startsWith("orders/"),
  );
  await page.getByRole("button", { name: "More keys" }).click();
  await page.waitForFunction(() => document.querySelectorAll(".key-row").length === 140);
  assert.match(await rows.last().textContent(), /^orders\/2026\/00140/);
  assert.equal(await page.getByRole("button", { name: "More keys" }).count(), 0);
  await page.getByLabel("Prefix of the keys").fill("nothing/");
  await page.getByText("No key begins with this.").waitFor();
});

clusterTest("a value is shown as text, JSON and hex, to the last digit", {}, async ({ open }) => {
  const page = await open(place("config/checkout/limits"));
  await valueOf(page).waitFor();
  assert.match(
    await valueOf(page).textContent(),
    /^\{\n {2}"max_items": 40,\n {2}"max_total": 9007199254740993,/,
  );
  await page.getByRole("radio", { name: "Text" }).check();
  await valueOf(page).getByText('{"max_items":40,"max_total":9007199254740993,').waitFor();
  await page.getByRole("radio", { name: "Hex" }).check();
  await valueOf(page).getByText("000000 7b 22 6d 61 78").first().waitFor();
});

clusterTest("keys and values that are not text are shown, too", {}, async ({ open }) => {
  const page = await open("#/keys?prefix=raw%2F");
  await page.getByRole("link", { name: "raw/\\xff\\xfe!" }).click();
  await page.getByText("a key that is not UTF-8").last().waitFor();
  await page.getByLabel("Prefix of the keys").fill("thumbnails/");
  await page.getByRole("link", { name: "thumbnails/logo.png" }).click();
  await page.getByText("89 50 4e 47 0d 0a 1a 0a").last().waitFor();
});

clusterTest(
  "an edit changes what the person changed, and no other byte",
  {},
  async ({ cluster, open }) => {
    const page = await open(place("config/checkout/limits"));
    await page.getByRole("button", { name: "Edit" }).click();
    const text = await editorOf(page).inputValue();
    await editorOf(page).fill(text.replace("40", "41"));
    await page.getByRole("button", { name: "Save" }).click();
    await said(page, /^Saved as revision/).waitFor();
    assert.equal(
      String(await cluster.get("config/checkout/limits")),
      '{"max_items":41,"max_total":9007199254740993,"regions":["de","fr","nl"],"strict":true}',
    );
  },
);

clusterTest(
  "of two editors the second sees what the first wrote, and overwrites nothing",
  {},
  async ({ cluster, open }) => {
    const [one, two] = [await open(place("config/motd")), await open(place("config/motd"))];
    for (const [page, text] of [
      [one, "from the first"],
      [two, "from the second"],
    ]) {
      await page.getByRole("button", { name: "Edit" }).click();
      await editorOf(page).fill(text);
    }
    await one.getByRole("button", { name: "Save" }).click();
    await two.getByText(/Somebody else wrote this key at revision/).waitFor();
    await two.getByLabel("What is stored now").getByText("from the first").waitFor();
    assert.equal(await editorOf(two).inputValue(), "from the second");
    assert.equal(await two.getByRole("button", { name: "Save" }).isDisabled(), true);
    assert.equal(String(await cluster.get("config/motd")), "from the first");
    await two.getByRole("button", { name: "Keep editing mine" }).click();
    await two.getByRole("button", { name: "Save" }).click();
    await until(
      async () => String(await cluster.get("config/motd")) === "from the second",
      "the second is stored when it was meant",
    );
  },
);

clusterTest(
  "a race that the watch did not show is lost at the server",
  { needs: ["intercept"] },
  async ({ cluster, open }) => {
    // Without its watch the page learns of the other write only by the refusal of its own.
    cluster.intercept(({ path, response }) => {
      if (path !== "/console/v1/watch") return false;
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      response.flushHeaders();
      return true;
    });
    const page = await open(place("config/motd"));
    await page.getByRole("button", { name: "Edit" }).click();
    await editorOf(page).fill("mine");
    await cluster.put("config/motd", "theirs");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText(/Somebody else wrote this key at revision/).waitFor();
    assert.equal(String(await cluster.get("config/motd")), "theirs");
  },
);

clusterTest("a key is created, and deleted after a question", {}, async ({ cluster, open }) => {
  const page = await open("#/keys?prefix=config%2F");
  await page.getByRole("button", { name: "New key" }).click();
  await page.getByLabel("Key", { exact: true }).fill("config/new one");
  await page.getByRole("button", { name: "Go on" }).click();
  await page.getByText("A key has no spaces and no control characters.").waitFor();
  await page.getByLabel("Key", { exact: true }).fill("config/new");
  await page.getByRole("button", { name: "Go on" }).click();
  await editorOf(page).fill("value");
  await page.getByRole("button", { name: "Save" }).click();
  await until(async () => String(await cluster.get("config/new")) === "value", "the key is there");
  await page.getByRole("link", { name: "config/new", exact: false }).first().waitFor();
  await page.getByRole("button", { name: "Delete" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await dialog.waitFor({ state: "detached" });
  assert.equal(
    await page.evaluate(() => document.activeElement.textContent),
    "Delete",
    "the focus is where it was",
  );
  assert.notEqual(await cluster.get("config/new"), null);
  await page.getByRole("button", { name: "Delete" }).click();
  await dialog.getByRole("button", { name: "Delete" }).click();
  await until(async () => (await cluster.get("config/new")) === null, "the key is gone");
  await page.getByText("There is no such key now.").waitFor();
});

clusterTest(
  "the versions of a key are read and compared, and one is brought back",
  {},
  async ({ cluster, open }) => {
    const page = await open(place("config/feature/new-search", "&pane=versions"));
    const versions = page.locator(".version-row");
    await page.waitForFunction(() => document.querySelectorAll(".version-row").length === 3);
    await versions.last().click();
    await page.locator(".line-old", { hasText: "off" }).waitFor();
    await page.locator(".line-new", { hasText: "50%" }).waitFor();
    await page.getByRole("button", { name: "Edit from this version" }).click();
    assert.equal(await editorOf(page).inputValue(), "off");
    await page.getByRole("button", { name: "Save" }).click();
    await until(
      async () => String(await cluster.get("config/feature/new-search")) === "off",
      "the old value is back",
    );
    await page.waitForFunction(() => document.querySelectorAll(".version-row").length === 4);
  },
);

clusterTest("what is compacted is said to be", {}, async ({ cluster, open }) => {
  await cluster.compact();
  const page = await open(place("config/feature/new-search", "&pane=versions"));
  await page.getByText(/is compacted: it cannot be read\./).waitFor();
  assert.equal(await page.locator(".version-row").count(), 1);
});

clusterTest(
  "a prefix is watched live, also over the death of its server",
  { canDie: true },
  async ({ cluster, open }) => {
    const server = await cluster.follower();
    const page = await open("#/keys?prefix=config%2F&pane=watch", { server });
    await page.locator(".split-pane").getByText("Live").waitFor();
    await cluster.put("config/motd", "watched");
    await page.locator(".change", { hasText: "config/motd" }).getByText("watched").waitFor();
    await cluster.delete("config/motd");
    await page.locator(".change-deleted", { hasText: "config/motd" }).waitFor();
    assert.equal(await page.locator(".key-row", { hasText: "config/motd" }).count(), 0);
    await cluster.put("elsewhere", "not of the prefix");
    await cluster.kill(server);
    await said(page, "Moved here").waitFor();
    await page.locator(".split-pane").getByText("Live").waitFor();
    await cluster.put("config/motd", "after the move");
    await page.locator(".change", { hasText: "config/motd" }).getByText("after the move").waitFor();
    assert.equal(await page.locator(".change", { hasText: "elsewhere" }).count(), 0);
  },
);

clusterTest("an open key is always the one that is stored", {}, async ({ cluster, open }) => {
  const page = await open(place("config/motd"));
  await valueOf(page).waitFor();
  await cluster.put("config/motd", "changed by somebody");
  await valueOf(page).getByText("changed by somebody").waitFor();
  await cluster.delete("config/motd");
  await page.getByText("There is no such key now.").waitFor();
});

clusterTest(
  "without a leader the keys are read from the server of the page, and marked",
  { canDie: true },
  async ({ cluster, open }) => {
    const server = await cluster.follower();
    const page = await open("#/overview", { server });
    for (const id of cluster.living.filter((it) => it !== server)) await cluster.kill(id);
    await page.locator(".verdict-bad").waitFor();
    await page.evaluate(() => {
      location.hash = "#/keys?prefix=config%2F&key=config%2Fmotd";
    });
    const list = page.locator(".split-list");
    await list.getByRole("alert").waitFor();
    await list.getByRole("button", { name: "Show what this server has" }).click();
    await list.getByText("Newer writes may be missing.").waitFor();
    await list.locator(".key-row", { hasText: "config/motd" }).waitFor();
    const pane = page.locator(".split-pane");
    await pane.getByRole("button", { name: "Show what this server has" }).click();
    await valueOf(page).getByText("Welcome aboard.").waitFor();
    await page.getByRole("button", { name: "Edit" }).click();
    await editorOf(page).fill("not without a leader");
    await page.getByRole("button", { name: "Save" }).click();
    await page.locator(".editor").getByRole("alert").waitFor();
    assert.equal(await editorOf(page).inputValue(), "not without a leader", "the edit is kept");
  },
);
