// The arithmetic of plots: where a sample lies in the unit square of a plot, as an SVG path.

/** The width and height of a plot in its own units; the browser stretches it. */
export const WIDTH = 1000;
export const HEIGHT = 100;
/** Samples come each second; a line is not drawn across a longer gap. */
const GAP_MS = 2_500;

/** The factors of a power of ten, or of two for bytes, at which an axis may end. */
const FACTORS = [1, 1.5, 2, 3, 4, 5, 6, 8, 10];
const BYTE_FACTORS = [1, 1.25, 1.5, 1.75, 2];

/** The least upper end of an axis that is not below `value`, and reads well. An axis never ends
 * at 0. */
export function axisEnd(value, { isBytes = false, least = 1 } = {}) {
  const wanted = Math.max(value, least);
  const power = isBytes ? 2 ** Math.floor(Math.log2(wanted)) : 10 ** Math.floor(Math.log10(wanted));
  const factors = isBytes ? BYTE_FACTORS : FACTORS;
  // The product is rounded, so the last factor stands in for one that seems to be too small.
  const factor = factors.find((it) => it * power >= wanted * (1 - 1e-9)) ?? factors.at(-1);
  return Number((factor * power).toPrecision(15));
}

/** The largest value of several series, or 0. */
export function largest(samples, series) {
  let max = 0;
  for (const sample of samples) {
    for (const { value } of series) {
      const it = value(sample);
      if (it !== null && it !== undefined && it > max) max = it;
    }
  }
  return max;
}

/** The path of a series from `fromMs` to `toMs`. A sample without a value interrupts the line. */
export function path(samples, value, { fromMs, toMs, max }) {
  const parts = [];
  let lastMs = null;
  for (const sample of samples) {
    const it = value(sample);
    if (it === null || it === undefined) {
      lastMs = null;
      continue;
    }
    const x = ((sample.at_ms - fromMs) / (toMs - fromMs)) * WIDTH;
    const y = HEIGHT - (Math.min(it, max) / max) * HEIGHT;
    const isNext = lastMs !== null && sample.at_ms - lastMs <= GAP_MS;
    parts.push(`${isNext ? "L" : "M"}${round(x)} ${round(y)}`);
    lastMs = sample.at_ms;
  }
  return parts.join("");
}

/** The sample that is nearest to a moment, or `null` when none is near. */
export function nearest(samples, atMs) {
  let best = null;
  for (const sample of samples) {
    if (best === null || Math.abs(sample.at_ms - atMs) < Math.abs(best.at_ms - atMs)) best = sample;
  }
  return best !== null && Math.abs(best.at_ms - atMs) <= GAP_MS ? best : null;
}

/** The sentence that says what a plot shows, for those who do not see it. */
export function describe(title, samples, series, format) {
  const parts = series.map(({ name, value }) => {
    const values = samples.map(value).filter((it) => it !== null && it !== undefined);
    if (values.length === 0) return `${name}: not measured`;
    const [low, high] = [Math.min(...values), Math.max(...values)];
    return `${name}: now ${format(values.at(-1))}, lowest ${format(low)}, highest ${format(high)}`;
  });
  return `${title}. ${parts.join("; ")}.`;
}

function round(value) {
  return Math.round(value * 10) / 10;
}
