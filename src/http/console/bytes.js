// Bytes in the forms that the page shows and sends. Keys and values are bytes, and need not be
// UTF-8, so the page keeps them as bytes and makes text of them only to show it.

import { isJson } from "./json.js";

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const lenient = new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = new TextEncoder();

/** The number of bytes of one line in the hex view. */
export const HEX_LINE_BYTES = 16;

/** The bytes of a base64 text. */
export function fromBase64(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let index = 0; index < binary.length; index += 1) bytes[index] = binary.charCodeAt(index);
  return bytes;
}

/** The base64 text of bytes, with padding. */
export function toBase64(bytes) {
  const parts = [];
  // A call with a whole value as its arguments would overflow the stack.
  for (let start = 0; start < bytes.length; start += 8192) {
    parts.push(String.fromCharCode(...bytes.subarray(start, start + 8192)));
  }
  return btoa(parts.join(""));
}

/** The form of base64 that a query takes. */
export function toQuery(base64) {
  return base64.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** The bytes of a text. */
export function fromText(text) {
  return encoder.encode(text);
}

/** The text of bytes, or `null` when they are not UTF-8. */
export function toText(bytes) {
  try {
    return strict.decode(bytes);
  } catch {
    return null;
  }
}

/** True when text can be edited without a byte of it changing unseen: no control characters but
 * the line feed and the tab. A text area would turn a carriage return into a line feed. */
export function isEditableText(text) {
  return text !== null && !/[\u0000-\u0008\u000b-\u001f\u007f]/.test(text);
}

/** A line that shows the bytes of a key: its text, with escapes for what is not printable. */
export function toLabel(bytes) {
  const text = toText(bytes);
  if (text === null) return Array.from(bytes, labelOfByte).join("");
  return text.replace(/[\p{C}\p{Zl}\p{Zp}\\]/gu, (character) => {
    if (character === "\\") return "\\\\";
    return Array.from(fromText(character), escape).join("");
  });
}

/** The bytes of a label: the inverse of `toLabel`. A backslash that begins no escape is refused
 * with an Error, whose message is a sentence for people. */
export function fromLabel(label) {
  const parts = [];
  for (const [part] of label.matchAll(/\\x[0-9a-fA-F]{2}|\\\\|\\|[^\\]+/g)) {
    if (part === "\\")
      throw new Error("A backslash is written \\\\, and a byte \\x and two digits.");
    if (part === "\\\\") parts.push(0x5c);
    else if (part.startsWith("\\x")) parts.push(Number.parseInt(part.slice(2), 16));
    else parts.push(...fromText(part));
  }
  return Uint8Array.from(parts);
}

/** The lines of a hex view: an offset, the bytes, and their printable ASCII. */
export function toHexLines(bytes, linesMax) {
  const lines = [];
  for (let start = 0; start < bytes.length && lines.length < linesMax; start += HEX_LINE_BYTES) {
    const line = bytes.subarray(start, start + HEX_LINE_BYTES);
    lines.push({
      offset: start.toString(16).padStart(6, "0"),
      hex: Array.from(line, digits).join(" "),
      ascii: Array.from(line, (byte) => (isPrintable(byte) ? String.fromCharCode(byte) : "·")).join(
        "",
      ),
    });
  }
  return lines;
}

/** The hex digits of bytes, as the editor shows them. */
export function toHex(bytes) {
  return Array.from(toHexLines(bytes, Infinity), (line) => line.hex).join("\n");
}

/** The bytes of hex digits; white space between bytes does not count. */
export function fromHex(text) {
  const joined = text.replaceAll(/\s+/g, "");
  if (!/^([0-9a-fA-F]{2})*$/.test(joined)) {
    throw new Error("Hex is pairs of the digits 0 to 9 and a to f.");
  }
  return Uint8Array.from(joined.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** The form in which a value is shown first. */
export function bestForm(bytes) {
  const text = toText(bytes);
  if (!isEditableText(text)) return bytes.length === 0 ? "text" : "hex";
  const begins = text.trimStart()[0];
  return (begins === "{" || begins === "[") && isJson(text) ? "json" : "text";
}

/** A line that shows how a value begins. */
export function toPreview(bytes, charactersMax) {
  const text = toText(bytes) ?? (isCutText(bytes) ? lenient.decode(bytes) : null);
  if (text === null || /[\u0000-\u0008\u000e-\u001f]/.test(text)) {
    return Array.from(bytes.subarray(0, charactersMax / 3), digits).join(" ");
  }
  return text.replaceAll(/\s+/g, " ").slice(0, charactersMax);
}

/** True when only the end of the bytes is not UTF-8: a preview that was cut in a character. */
function isCutText(bytes) {
  for (let cut = 1; cut <= 3 && cut < bytes.length; cut += 1) {
    if (toText(bytes.subarray(0, bytes.length - cut)) !== null) return true;
  }
  return false;
}

function labelOfByte(byte) {
  if (byte === 0x5c) return "\\\\";
  return isPrintable(byte) ? String.fromCharCode(byte) : escape(byte);
}

function isPrintable(byte) {
  return byte >= 0x20 && byte < 0x7f;
}

function escape(byte) {
  return `\\x${digits(byte)}`;
}

function digits(byte) {
  return byte.toString(16).padStart(2, "0");
}
