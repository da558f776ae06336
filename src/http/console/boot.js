// This script is not a module, so it runs before the page is painted: a page in the other theme
// would flash otherwise.
(() => {
  try {
    const theme =
      new URLSearchParams(location.hash.split("?")[1] ?? "").get("theme") ??
      localStorage.getItem("coracle-theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // A browser may forbid to read what was stored; then the system decides.
  }
})();
