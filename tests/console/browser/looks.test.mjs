// What can be measured of how the page looks: contrast, width, names, themes.

import assert from "node:assert/strict";

import { clusterTest, said } from "./harness.mjs";

const PLACES = [
  "#/overview",
  "#/servers",
  "#/keys?prefix=config%2F&key=config%2Ffeature%2Fnew-search&pane=versions",
  "#/keys?prefix=config%2F&pane=watch",
  "#/terms",
];

/** The texts whose contrast with what is behind them is under that of WCAG AA. */
function lowContrast() {
  const numbers = (colour) => colour.match(/[\d.]+/g).map(Number);
  const luminance = ([red, green, blue]) => {
    const [r, g, b] = [red, green, blue].map((it) =>
      it / 255 <= 0.04045 ? it / 255 / 12.92 : ((it / 255 + 0.055) / 1.055) ** 2.4,
    );
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (node) => {
    for (let it = node; it; it = it.parentElement) {
      const colour = numbers(getComputedStyle(it).backgroundColor);
      if (colour[3] !== 0) return colour;
    }
    return [255, 255, 255];
  };
  const low = [];
  let seen = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const { parentElement: node, data } = walker.currentNode;
    if (
      data.trim() === "" ||
      !node.checkVisibility() ||
      node.closest(".hidden, .skip, noscript, script")
    )
      continue;
    const [one, other] = [
      luminance(numbers(getComputedStyle(node).color)),
      luminance(behind(node)),
    ].sort((a, b) => a - b);
    const ratio = (other + 0.05) / (one + 0.05);
    seen += 1;
    // A button that cannot be pressed is excepted by WCAG.
    if (ratio < 4.5 && !node.closest(":disabled"))
      low.push(`${data.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return { low, seen };
}

/** The things that can be used and have no name for those who do not see them. */
function nameless() {
  return [...document.querySelectorAll("a, button, input, textarea, select, [role=img], dialog")]
    .filter(
      (node) =>
        !(
          node.getAttribute("aria-label") ||
          node.getAttribute("aria-labelledby") ||
          node.textContent.trim() ||
          [...(node.labels ?? [])].some((label) => label.textContent.trim())
        ),
    )
    .map((node) => node.outerHTML.slice(0, 80));
}

for (const colorScheme of ["light", "dark"]) {
  clusterTest(
    `each text can be read in the ${colorScheme} theme`,
    { canDie: true },
    async ({ cluster, open }) => {
      const page = await open("", { colorScheme });
      await cluster.kill(cluster.living.findLast((id) => !page.url().startsWith(cluster.url(id))));
      for (const place of PLACES) {
        await page.evaluate((hash) => {
          location.hash = hash;
        }, place);
        await page.waitForTimeout(500);
        await cluster.put("config/motd", `for ${place}`);
        await page.waitForTimeout(300);
        const { low, seen } = await page.evaluate(lowContrast);
        assert.deepEqual(low, [], place);
        assert.ok(seen > 20, `${place} has ${seen} texts`);
        assert.deepEqual(await page.evaluate(nameless), [], place);
      }
    },
  );
}

clusterTest("no view is wider than a small phone", {}, async ({ open }) => {
  const page = await open("", { viewport: { width: 360, height: 740 }, hasTouch: true });
  for (const place of PLACES) {
    await page.evaluate((hash) => {
      location.hash = hash;
    }, place);
    await page.waitForTimeout(500);
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.equal(width, 360, place);
  }
  await page.getByRole("link", { name: "Overview" }).click();
  await page.getByRole("heading", { level: 1, name: /leads/ }).waitFor();
});

clusterTest("on a phone a key and the list are one after the other", {}, async ({ open }) => {
  const page = await open("#/keys?prefix=config%2F", {
    viewport: { width: 390, height: 844 },
    hasTouch: true,
  });
  await page.getByRole("link", { name: "config/motd" }).click();
  await page.getByRole("heading", { name: "config/motd" }).waitFor();
  assert.equal(await page.locator(".key-row").first().isVisible(), false);
  await page.getByRole("link", { name: "‹ Keys" }).click();
  await page.locator(".key-row").first().waitFor();
});

clusterTest(
  "the theme that a person chose stays, also on the page of another server",
  { canDie: true },
  async ({ cluster, open }) => {
    const server = await cluster.follower();
    const page = await open("", { server, colorScheme: "light" });
    const background = () =>
      page.evaluate(() => getComputedStyle(document.body.parentElement).backgroundColor);
    const light = await background();
    await page.keyboard.press("t");
    await page.keyboard.press("t");
    await said(page, "The page is dark.").waitFor();
    const dark = await background();
    assert.notEqual(dark, light);
    await page.reload();
    assert.equal(await background(), dark);
    await page.getByText("Live, server").waitFor();
    await cluster.kill(server);
    await said(page, "Moved here").waitFor();
    assert.equal(await background(), dark);
  },
);

clusterTest(
  "a hidden page holds no connection, and is up to date when it is seen again",
  { needs: ["intercept"] },
  async ({ cluster, open }) => {
    const page = await open();
    const streams = () => cluster.cluster.listenerCount("tick");
    assert.equal(streams(), 1);
    const setHidden = (hidden) =>
      page.evaluate((it) => {
        Object.defineProperty(document, "hidden", { value: it, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
      }, hidden);
    await setHidden(true);
    while (streams() > 0) await page.waitForTimeout(20);
    cluster.lag(5, 5000, "apply");
    await setHidden(false);
    await page.getByRole("heading", { level: 1, name: /server 5 is not in step/ }).waitFor();
    assert.equal(streams(), 1);
  },
);
