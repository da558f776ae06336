// An edit of a value, from its beginning to what became of it. An edit knows the revision that it
// began from, and is only ever saved over exactly that one.

import {
  bestForm,
  fromBase64,
  fromHex,
  fromText,
  isEditableText,
  toBase64,
  toHex,
  toText,
} from "./bytes.js";
import { faultOf, isJson, restore, spread } from "./json.js";

/** The longest time to live, in seconds: a hundred years. */
export const EXPIRES_S_MAX = 3_153_600_000;

/** The edit of a key as the server gave it. An absent key is created. */
export function beginEdit(current) {
  const bytes = fromBase64(current.value ?? "");
  const form = bestForm(bytes);
  const text = textIn(form, bytes);
  return {
    key: current.key,
    base: current,
    form,
    text,
    firstText: text,
    expires: String(current.expires_s),
    firstExpires: String(current.expires_s),
    lease: current.lease ?? "",
    status: "editing",
    error: null,
    theirs: null,
  };
}

/** The edit that begins from an older version of the same key, to bring it back. */
export function beginFrom(current, bytes) {
  const form = bestForm(bytes);
  const edit = beginEdit(current);
  return { ...edit, form, text: textIn(form, bytes), firstText: null };
}

/** The edit that another server's page has handed on by the address of this one. Anybody can write
 * an address, so the person is asked to look at the edit. */
export function resume({ base, form, text, expires, lease }) {
  return { ...beginEdit(base), form, text, firstText: null, expires, lease, isFromAddress: true };
}

/** What is handed on of an edit. */
export function draftOf({ key, form, text, expires, lease, base }) {
  return { key, form, text, expires, lease, base };
}

/** True when something would be lost without the edit. */
export function isDirty(edit) {
  return (
    edit !== null &&
    edit.status !== "saved" &&
    (edit.text !== edit.firstText ||
      edit.expires !== edit.firstExpires ||
      edit.lease !== (edit.base.lease ?? ""))
  );
}

/** The same edit in another form. It fails with a sentence when the text is not right in the form
 * that it has, or cannot be shown in the other one. */
export function inForm(edit, form) {
  if (form === edit.form) return edit;
  const bytes = bytesOf(edit);
  if (form !== "hex" && !isEditableText(toText(bytes))) {
    throw new Error("These bytes are not text, so only their hex digits can be edited.");
  }
  if (form === "json" && !isJson(toText(bytes))) {
    throw new Error("This is not JSON.");
  }
  const isPristine = edit.text === edit.firstText;
  const text = textIn(form, bytes);
  return { ...edit, form, text, firstText: isPristine ? text : null, error: null };
}

/** The bytes that the edit would store. It fails with a sentence. */
export function bytesOf(edit) {
  switch (edit.form) {
    case "hex":
      return fromHex(edit.text);
    case "json": {
      const fault = faultOf(edit.text);
      if (fault !== null) throw new Error(`This is not JSON: ${fault}`);
      return fromText(restore(edit.text, toText(fromBase64(edit.base.value ?? "")) ?? ""));
    }
    default:
      return fromText(edit.text);
  }
}

/** What is sent to save the edit. It fails with a sentence that names what is wrong. */
export function requestOf(edit, limits) {
  const bytes = bytesOf(edit);
  if (limits && bytes.length > limits.value_bytes_max) {
    throw new Error(`The value has ${bytes.length} bytes; the most is ${limits.value_bytes_max}.`);
  }
  const expires = Number(edit.expires.trim() === "" ? "0" : edit.expires);
  if (!Number.isSafeInteger(expires) || expires < 0 || expires > EXPIRES_S_MAX) {
    throw new Error(`The time to live is 0 to ${EXPIRES_S_MAX} whole seconds; 0 is for ever.`);
  }
  const lease = edit.lease.trim();
  if (!/^[0-9]{0,20}$/.test(lease)) throw new Error("A lease is a number, or empty for none.");
  return {
    key: edit.key,
    value: toBase64(bytes),
    mod_revision: edit.base.mod_revision,
    expires_s: expires,
    lease: lease === "" || lease === "0" ? null : lease,
  };
}

/** The edit when somebody else has changed the key meanwhile. Nothing of it is lost. */
export function conflict(edit, theirs) {
  if (theirs.mod_revision === edit.base.mod_revision) return edit;
  return { ...edit, status: "conflict", theirs };
}

/** The same edit on top of what somebody else wrote: it can be saved over that and nothing else. */
export function rebase(edit) {
  return {
    ...edit,
    base: edit.theirs,
    firstText: null,
    theirs: null,
    status: "editing",
    error: null,
  };
}

/** What became of a save whose outcome was not told, from the key as it is now: `done`, `not_done`
 * or `other` when somebody else has written meanwhile. */
export function outcomeOf(edit, request, now) {
  if (now.mod_revision === request.mod_revision) return "not_done";
  const isOurs = now.found && now.value === request.value && now.lease === request.lease;
  return isOurs ? "done" : "other";
}

/** The text that a form shows for bytes. */
export function textIn(form, bytes) {
  if (form === "hex") return toHex(bytes);
  const text = toText(bytes) ?? "";
  return form === "json" && isJson(text) ? spread(text) : text;
}
