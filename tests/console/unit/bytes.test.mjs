import assert from "node:assert/strict";
import { test } from "node:test";

import * as bytes from "../../../src/http/console/bytes.js";

const all = Uint8Array.from({ length: 256 }, (_, index) => index);

test("base64 keeps every byte, also of a long value", () => {
  const long = Uint8Array.from({ length: 100_003 }, (_, index) => (index * 7) % 256);
  assert.deepEqual(bytes.fromBase64(bytes.toBase64(all)), all);
  assert.deepEqual(bytes.fromBase64(bytes.toBase64(long)), long);
});

test("a query has no character that an address would change", () => {
  const query = bytes.toQuery(bytes.toBase64(Uint8Array.of(0xfb, 0xff, 0xfe, 0x3f)));
  assert.equal(query, "-__-Pw");
  assert.deepEqual(
    new Uint8Array(Buffer.from(query, "base64url")),
    Uint8Array.of(0xfb, 0xff, 0xfe, 0x3f),
  );
});

test("a label leads back to the same bytes, whatever they are", () => {
  for (const key of [
    all,
    Uint8Array.of(0x5c, 0x78, 0x34, 0x31),
    bytes.fromText("größe/\\x41/日本/\u202e"),
    new Uint8Array(),
  ]) {
    assert.deepEqual(bytes.fromLabel(bytes.toLabel(key)), key);
  }
});

test("a label shows text as it is, and the rest as escapes", () => {
  assert.equal(bytes.toLabel(bytes.fromText("orders/größe")), "orders/größe");
  assert.equal(bytes.toLabel(Uint8Array.of(0x61, 0xff)), "a\\xff");
  // A mark that turns the direction of text would show another key than the one that is meant.
  assert.equal(bytes.toLabel(bytes.fromText("a\u202eb")), "a\\xe2\\x80\\xaeb");
});

test("a label with a lone backslash is refused", () => {
  assert.throws(() => bytes.fromLabel("a\\b"), /backslash/);
});

test("hex leads back to the same bytes, and refuses what is no hex", () => {
  assert.deepEqual(bytes.fromHex(bytes.toHex(all)), all);
  assert.throws(() => bytes.fromHex("0"), /pairs/);
  assert.throws(() => bytes.fromHex("0g"), /pairs/);
});

test("the form of a value is the one that shows it best", () => {
  assert.equal(bytes.bestForm(bytes.fromText('{"a": 1}')), "json");
  assert.equal(bytes.bestForm(bytes.fromText("{ no json")), "text");
  assert.equal(bytes.bestForm(bytes.fromText("12")), "text");
  assert.equal(bytes.bestForm(Uint8Array.of(0xff)), "hex");
  assert.equal(bytes.bestForm(new Uint8Array()), "text");
});

test("text that a text area would change is not edited as text", () => {
  assert.equal(bytes.isEditableText("a\tb\nc"), true);
  assert.equal(bytes.isEditableText("a\r\nb"), false);
  assert.equal(bytes.isEditableText("a\u0000b"), false);
  assert.equal(bytes.bestForm(bytes.fromText("a\r\nb")), "hex");
});

test("a preview that was cut inside a character is still text", () => {
  const cut = bytes.fromText("price: 3 €").subarray(0, -1);
  assert.match(bytes.toPreview(cut, 40), /^price: 3 /);
  assert.equal(bytes.toPreview(Uint8Array.of(0xff, 0x00), 40), "ff 00");
});
