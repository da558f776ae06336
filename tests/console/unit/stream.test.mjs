import assert from "node:assert/strict";
import { test } from "node:test";

import { openStream } from "../../../src/http/console/stream.js";
import { FakeEnvironment } from "./fakes.mjs";

function open() {
  const environment = new FakeEnvironment();
  const heard = [];
  const lost = [];
  let number = 0;
  const stream = openStream({
    url: () => `/events?try=${(number += 1)}`,
    handlers: { state: (data) => heard.push(data) },
    onLost: (failures) => lost.push(failures),
    environment,
  });
  return { environment, heard, lost, stream };
}

test("events come as their data", () => {
  const { environment, heard } = open();
  environment.source.send("state", { term: 7 });
  assert.deepEqual(heard, [{ term: 7 }]);
});

test("a connection that ends is tried again soon, and each try asks for its address", () => {
  const { environment, lost } = open();
  environment.source.onerror();
  assert.deepEqual(lost, [1]);
  environment.pass(250);
  assert.equal(environment.sources.length, 2);
  assert.equal(environment.source.url, "/events?try=2");
  environment.source.onerror();
  assert.deepEqual(lost, [1, 2]);
});

test("a server that is silent is lost, though its connection stands", () => {
  const { environment, lost } = open();
  environment.source.send("state", {});
  environment.pass(4_000);
  environment.source.send("state", {});
  environment.pass(4_000);
  assert.deepEqual(lost, []);
  environment.pass(1_100);
  assert.deepEqual(lost, [1]);
  assert.equal(environment.sources[0].isOpen, false);
});

test("failures are counted anew when the server was heard", () => {
  const { environment, lost } = open();
  environment.source.onerror();
  environment.pass(300);
  environment.source.send("state", {});
  environment.source.onerror();
  assert.deepEqual(lost, [1, 1]);
});

test("a hidden page has no connection, and one again when it is seen", () => {
  const { environment, lost } = open();
  environment.setHidden(true);
  assert.equal(environment.source.isOpen, false);
  environment.pass(60_000);
  assert.equal(environment.sources.length, 1);
  assert.deepEqual(lost, []);
  environment.setHidden(false);
  assert.equal(environment.sources.length, 2);
  assert.equal(environment.source.isOpen, true);
});

test("a page that opens hidden connects when it is seen", () => {
  const environment = new FakeEnvironment();
  environment.hidden = true;
  openStream({ url: () => "/events", handlers: {}, environment });
  assert.equal(environment.sources.length, 0);
  environment.setHidden(false);
  assert.equal(environment.sources.length, 1);
});

test("a stream that was closed never opens again", () => {
  const { environment, stream } = open();
  environment.source.onerror();
  stream.close();
  environment.pass(60_000);
  assert.equal(environment.sources.length, 1);
  assert.equal(environment.listener, null);
});
