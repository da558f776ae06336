// Light or dark: as the system has it, or as the person chose on this page.

const KEY = "coracle-theme";
const NEXT = { system: "light", light: "dark", dark: "system" };

/** The choice: `system`, `light` or `dark`. */
export function currentTheme() {
  return document.documentElement.dataset.theme ?? "system";
}

/** Takes a choice, and remembers it for this server's page. */
export function setTheme(theme) {
  const root = document.documentElement;
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  else delete root.dataset.theme;
  try {
    if (root.dataset.theme) localStorage.setItem(KEY, theme);
    else localStorage.removeItem(KEY);
  } catch {
    // A browser may forbid to store anything; then the choice lasts as long as the page.
  }
}

/** The next choice, of three in turn. */
export function nextTheme() {
  setTheme(NEXT[currentTheme()]);
}
