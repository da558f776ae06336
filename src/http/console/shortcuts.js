// The keyboard. Each shortcut is a letter or two, and none works while a person types.

/** The time within which the second letter of a shortcut has to come. */
const SEQUENCE_MS = 1_200;

/** The shortcuts as the help shows them: `[keys, what]`. */
export const HELP = [
  ["g o", "Overview"],
  ["g s", "Servers"],
  ["g k", "Keys"],
  ["g t", "Terms"],
  ["/", "Search keys by prefix"],
  ["j, k", "Next and previous key of the list"],
  ["n", "New key"],
  ["e", "Edit the value"],
  ["Ctrl Enter", "Save the edit"],
  ["v", "Versions of the key"],
  ["w", "Watch the prefix"],
  ["t", "Light, dark or as the system"],
  ["?", "This help"],
  ["Esc", "Close, or leave a field"],
];

/** Listens to the keyboard. `actions` are functions by shortcut, asked for with each key because
 * they depend on the view. The answer of an action is `false` when it does nothing here. */
export function listen(target, actions) {
  let first = null;
  let firstAt = 0;
  target.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.metaKey || event.altKey || event.ctrlKey) return;
    if (event.key === "Escape") {
      if (isTyping(event.target)) event.target.blur();
      else actions().Escape?.();
      return;
    }
    if (isTyping(event.target) || target.querySelector?.("dialog[open]")) return;
    const isSequence = first !== null && event.timeStamp - firstAt < SEQUENCE_MS;
    const name = isSequence ? `${first} ${event.key}` : event.key;
    first = null;
    if (event.key === "g" && !isSequence) {
      first = "g";
      firstAt = event.timeStamp;
      return;
    }
    const action = actions()[name];
    if (action && action() !== false) event.preventDefault();
  });
}

function isTyping(node) {
  return (
    node instanceof Element &&
    node.matches("input:not([type=radio]):not([type=checkbox]), textarea, select")
  );
}
