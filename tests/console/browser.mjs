// Finds a browser for the tests: `CONSOLE_BROWSER`, or Debian's Chromium.

import { existsSync } from "node:fs";

const PATHS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** The path of a browser, or `null`. */
export function findBrowser() {
  return process.env.CONSOLE_BROWSER ?? PATHS.find((path) => existsSync(path)) ?? null;
}
