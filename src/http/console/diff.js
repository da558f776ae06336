// The difference of two texts, line by line.

/** Texts with more lines than this, after what they have in common at both ends, are shown as
 * replaced as a whole: the comparison takes the product of both numbers. */
export const LINES_MAX = 1_000;

/** The lines of both texts in order: `{kind, text}` with the kind `same`, `old` or `new`. */
export function diffLines(old, now) {
  const a = old.split("\n");
  const b = now.split("\n");
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a.at(-1 - end) === b.at(-1 - end))
    end += 1;
  const middle = compare(a.slice(start, a.length - end), b.slice(start, b.length - end));
  return [
    ...a.slice(0, start).map((text) => ({ kind: "same", text })),
    ...middle,
    ...a.slice(a.length - end).map((text) => ({ kind: "same", text })),
  ];
}

/** The lines without those that are equal and far from any difference: `skipped` tells how many
 * are left out. */
export function condense(lines, context = 3) {
  const isNear = lines.map(() => false);
  lines.forEach((line, index) => {
    if (line.kind === "same") return;
    for (let near = index - context; near <= index + context; near += 1) {
      if (near in isNear) isNear[near] = true;
    }
  });
  const kept = [];
  lines.forEach((line, index) => {
    if (isNear[index]) kept.push(line);
    else if (kept.at(-1)?.kind === "skipped") kept.at(-1).count += 1;
    else kept.push({ kind: "skipped", count: 1 });
  });
  return kept;
}

/** The lines by their longest common subsequence. */
function compare(a, b) {
  if (a.length > LINES_MAX || b.length > LINES_MAX) {
    return [
      ...a.map((text) => ({ kind: "old", text })),
      ...b.map((text) => ({ kind: "new", text })),
    ];
  }
  const length = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      length[i][j] =
        a[i] === b[j] ? length[i + 1][j + 1] + 1 : Math.max(length[i + 1][j], length[i][j + 1]);
    }
  }
  const lines = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      lines.push({ kind: "same", text: a[i] });
      i += 1;
      j += 1;
    } else if (j === b.length || (i < a.length && length[i + 1][j] >= length[i][j + 1])) {
      lines.push({ kind: "old", text: a[i] });
      i += 1;
    } else {
      lines.push({ kind: "new", text: b[j] });
      j += 1;
    }
  }
  return lines;
}
