// The page's files, as a server serves them: by name, and with the headers of
// docs/console-interface.md, so that a breach of the content security policy shows in the tests.

import { readFileSync, readdirSync } from "node:fs";
import { extname, join } from "node:path";

const DIRECTORY = join(import.meta.dirname, "../../src/http/console");
const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
};

/** Answers a request for a file. The answer is `false` when the path names none. */
export function serveFile(path, others, response) {
  const name =
    path === "/"
      ? "index.html"
      : path.startsWith("/console/")
        ? path.slice("/console/".length)
        : null;
  if (name === null || !readdirSync(DIRECTORY).includes(name)) return false;
  const connect = ["'self'", ...others.map((address) => `http://${address}`)].join(" ");
  response.writeHead(200, {
    "Content-Type": TYPES[extname(name)],
    "Cache-Control": "no-cache",
    "Content-Security-Policy":
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
      `connect-src ${connect}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
  });
  response.end(readFileSync(join(DIRECTORY, name)));
  return true;
}
