import assert from "node:assert/strict";
import { test } from "node:test";

import { fromText, toBase64 } from "../../../src/http/console/bytes.js";
import * as edits from "../../../src/http/console/edit.js";
import { packDraft, unpackDraft } from "../../../src/http/console/failover.js";

const base64 = (text) => toBase64(fromText(text));
const current = (text, changes = {}) => ({
  key: base64("a"),
  found: true,
  mod_revision: 40,
  create_revision: 40,
  version: 1,
  lease: null,
  expires_s: 0,
  value: base64(text),
  ...changes,
});
const typed = (edit, text) => ({ ...edit, text });

test("an edit that was not touched is not dirty, and saves the same bytes", () => {
  for (const value of ["text", '{"a":9007199254740993}', "a\r\nb", ""]) {
    const edit = edits.beginEdit(current(value));
    assert.equal(edits.isDirty(edit), false);
    assert.equal(edits.requestOf(edit).value, base64(value));
  }
});

test("an edit is saved over the revision that it began from", () => {
  const request = edits.requestOf(typed(edits.beginEdit(current("old")), "new"));
  assert.deepEqual(request, {
    key: base64("a"),
    value: base64("new"),
    mod_revision: 40,
    expires_s: 0,
    lease: null,
  });
  const absent = current("", { found: false, mod_revision: 0, value: null });
  assert.equal(edits.requestOf(edits.beginEdit(absent)).mod_revision, 0);
});

test("the time to live and the lease are kept unless they are changed", () => {
  const edit = edits.beginEdit(current("x", { expires_s: 60, lease: "9223372036854775807" }));
  assert.equal(edits.requestOf(edit).expires_s, 60);
  assert.equal(edits.requestOf(edit).lease, "9223372036854775807");
  assert.equal(edits.isDirty({ ...edit, expires: "61" }), true);
});

test("what cannot be saved is told in a sentence", () => {
  const edit = edits.beginEdit(current("x"));
  assert.throws(() => edits.requestOf({ ...edit, expires: "soon" }), /time to live/);
  assert.throws(() => edits.requestOf({ ...edit, expires: "3153600001" }), /time to live/);
  assert.throws(() => edits.requestOf({ ...edit, lease: "-1" }), /lease/);
  assert.throws(
    () => edits.requestOf(typed(edit, "long"), { value_bytes_max: 3 }),
    /has 4 bytes; the most is 3/,
  );
  assert.throws(() => edits.requestOf(typed({ ...edit, form: "json" }, "{")), /not JSON/);
});

test("another form shows the same bytes, and a form that cannot is refused", () => {
  const edit = edits.beginEdit(current('{"a":1}'));
  const hex = edits.inForm(edit, "hex");
  assert.equal(edits.requestOf(hex).value, base64('{"a":1}'));
  assert.equal(edits.isDirty(hex), false);
  assert.throws(() => edits.inForm(typed(hex, "ff"), "text"), /not text/);
  assert.throws(() => edits.inForm(typed({ ...edit, form: "text" }, "{"), "json"), /not JSON/);
});

test("a conflict keeps both values, and only a person puts one over the other", () => {
  const edit = typed(edits.beginEdit(current("old")), "mine");
  const theirs = current("theirs", { mod_revision: 41 });
  const inConflict = edits.conflict(edit, theirs);
  assert.equal(inConflict.status, "conflict");
  assert.equal(inConflict.text, "mine");
  assert.equal(edits.requestOf(inConflict).mod_revision, 40, "it would still conflict");
  const rebased = edits.rebase(inConflict);
  assert.equal(edits.requestOf(rebased).mod_revision, 41);
  assert.equal(rebased.text, "mine");
  assert.equal(edits.isDirty(rebased), true);
});

test("the same revision again is no conflict", () => {
  const edit = edits.beginEdit(current("old"));
  assert.equal(edits.conflict(edit, current("old")).status, "editing");
});

test("what became of a save is read from the key", () => {
  const edit = typed(edits.beginEdit(current("old")), "mine");
  const request = edits.requestOf(edit);
  assert.equal(edits.outcomeOf(edit, request, current("old")), "not_done");
  assert.equal(edits.outcomeOf(edit, request, current("mine", { mod_revision: 41 })), "done");
  assert.equal(edits.outcomeOf(edit, request, current("theirs", { mod_revision: 41 })), "other");
  assert.equal(
    edits.outcomeOf(edit, request, current("mine", { mod_revision: 42, found: false })),
    "other",
  );
});

test("an edit survives the way to another server", () => {
  const edit = {
    ...typed(edits.beginEdit(current("old")), "mine, with ü and \u{1f6f6}"),
    lease: "7",
  };
  const resumed = edits.resume(unpackDraft(packDraft(edits.draftOf(edit))));
  assert.equal(edits.requestOf(resumed).value, base64(edit.text));
  assert.equal(edits.requestOf(resumed).mod_revision, 40);
  assert.equal(edits.requestOf(resumed).lease, "7");
  assert.equal(edits.isDirty(resumed), true);
  assert.equal(resumed.isFromAddress, true);
});

test("what is no edit is not taken for one, whoever wrote the address", () => {
  const good = edits.draftOf(edits.beginEdit(current("old")));
  const wrong = [
    { ...good, key: "another" },
    { ...good, form: "markup" },
    { ...good, text: 5 },
    { ...good, expires: undefined },
    { ...good, base: { ...good.base, value: "no base64!" } },
    { ...good, base: { ...good.base, mod_revision: "1" } },
    { ...good, base: null },
    {},
    null,
  ];
  assert.notEqual(unpackDraft(JSON.stringify(good)), null);
  for (const draft of wrong) assert.equal(unpackDraft(JSON.stringify(draft)), null);
  assert.equal(unpackDraft("{"), null);
  assert.equal(packDraft({ ...good, text: "x".repeat(300_000) }), null);
});
