// Numbers as people read them. A value that is not known is a dash, never a 0.

/** The sign for a value that is not known. */
export const UNKNOWN = "–";

/** A space at which a line is not broken, between a number and its unit. */
const SPACE = "\u00a0";

const BYTE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** A whole number with separators. */
export function count(value) {
  if (!isNumber(value)) return UNKNOWN;
  return Math.round(value).toLocaleString("en-US");
}

/** A number in few characters: `1.2k`, `34M`. */
export function short(value) {
  if (!isNumber(value)) return UNKNOWN;
  const size = Math.abs(value);
  if (size >= 999_950_000) return `${trim(value / 1e9)}G`;
  if (size >= 999_950) return `${trim(value / 1e6)}M`;
  if (size >= 9_999.5) return `${trim(value / 1e3)}k`;
  if (size >= 100 || Number.isInteger(value)) return count(value);
  return trim(value);
}

/** A number of bytes. */
export function bytes(value) {
  if (!isNumber(value)) return UNKNOWN;
  let unit = 0;
  let rest = value;
  while (Math.abs(rest) >= 1023.95 && unit < BYTE_UNITS.length - 1) {
    rest /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? Math.round(rest) : trim(rest)}${SPACE}${BYTE_UNITS[unit]}`;
}

/** A latency in milliseconds. */
export function latency(value) {
  if (!isNumber(value)) return UNKNOWN;
  if (value >= 999.5) return `${trim(value / 1000)}${SPACE}s`;
  if (value < 0.0995 && value > 0) return `${Math.max(1, Math.round(value * 1000))}${SPACE}µs`;
  return `${trim(value)}${SPACE}ms`;
}

/** A duration in milliseconds, in its two largest units. */
export function duration(value) {
  if (!isNumber(value)) return UNKNOWN;
  const seconds = Math.floor(Math.max(0, value) / 1000);
  if (value < 1000) return `${Math.max(0, Math.round(value))}${SPACE}ms`;
  if (seconds < 60) return `${seconds}${SPACE}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return join(minutes, "min", seconds % 60, "s");
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return join(hours, "h", minutes % 60, "min");
  return join(Math.floor(hours / 24), "d", hours % 24, "h");
}

/** A moment: its time of day, and its date when that is not the day of `now`. */
export function moment(atMs, nowMs) {
  if (!isNumber(atMs)) return UNKNOWN;
  const at = new Date(atMs);
  const time = at.toTimeString().slice(0, 8);
  if (at.toDateString() === new Date(nowMs).toDateString()) return time;
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${time}`;
}

/** A part of a whole, in percent. */
export function percent(part, whole) {
  if (!isNumber(part) || !isNumber(whole) || whole <= 0) return UNKNOWN;
  return `${Math.round((100 * part) / whole)}${SPACE}%`;
}

/** `1 server`, `2 servers`. */
export function plural(number, noun) {
  return `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
}

/** The items with commas, and `and` before the last. */
export function list(items) {
  if (items.length < 2) return items.join("");
  return `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`;
}

/** How far a member is behind: entries, and time when that is known. `unit` follows the number. */
export function behind(entries, ms, unit = "") {
  if (!isNumber(entries)) return "unknown";
  if (entries === 0) return `0${unit}`;
  const time = isNumber(ms) && ms >= 100 ? ` (${duration(ms)})` : "";
  return `${count(entries)}${unit}${time}`;
}

/** True for a number that can be shown. */
export function isNumber(value) {
  return typeof value === "number" && Number.isFinite(value);
}

function join(first, firstUnit, second, secondUnit) {
  const parts = second === 0 ? [first, firstUnit] : [first, firstUnit, second, secondUnit];
  return parts.join(SPACE);
}

function two(number) {
  return String(number).padStart(2, "0");
}

/** A number with three digits at most that say something. */
function trim(value) {
  const size = Math.abs(value);
  const digits = size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2;
  return String(Number(value.toFixed(digits)));
}
