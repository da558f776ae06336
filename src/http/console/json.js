// JSON as text. The page never writes JSON from parsed values: a parser of doubles would change
// long numbers and drop repeated names without a word. It only moves white space.

/** True when the text is JSON. */
export function isJson(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** The sentence of the parser about a text that is not JSON, else `null`. */
export function faultOf(text) {
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    return error.message;
  }
}

/** The text without white space between its tokens. The text has to be JSON. */
export function squeeze(text) {
  return tokens(text).join("");
}

/** The text with one item a line. The text has to be JSON. */
export function spread(text) {
  const parts = [];
  let depth = 0;
  const all = tokens(text);
  all.forEach((token, index) => {
    const next = all[index + 1];
    if (token === "}" || token === "]") {
      depth -= 1;
      if (!isOpening(all[index - 1])) parts.push(line(depth));
      parts.push(token);
    } else if (isOpening(token)) {
      depth += 1;
      parts.push(token);
      if (next !== "}" && next !== "]") parts.push(line(depth));
    } else if (token === ",") {
      parts.push(token, line(depth));
    } else {
      parts.push(token === ":" ? ": " : token);
    }
  });
  return parts.join("");
}

/** The text as it is to be stored after it was edited in spread form: squeezed when the value was
 * squeezed before, so that an edit changes only what the person changed. */
export function restore(edited, original) {
  return isJson(original) && squeeze(original) === original ? squeeze(edited) : edited;
}

function tokens(text) {
  return text.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g) ?? [];
}

function isOpening(token) {
  return token === "{" || token === "[";
}

function line(depth) {
  return `\n${"  ".repeat(depth)}`;
}
