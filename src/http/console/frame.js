// What is around each view: the head with the navigation, the banner of a lost server, the foot.

import { candidates } from "./failover.js";
import { duration } from "./format.js";
import { button } from "./parts.js";
import { VIEWS } from "./route.js";
import { HELP } from "./shortcuts.js";
import { currentTheme } from "./theme.js";
import { h } from "./vdom.js";

const THEMES = { system: "Auto", light: "Light", dark: "Dark" };

/** Draws the frame around the content of a view. */
export function drawFrame(app, content) {
  return h(
    "div",
    { class: "page", key: "page" },
    head(app),
    banner(app),
    h(
      "main",
      { id: "main", tabindex: "-1", key: app.place.view, class: `view view-${app.place.view}` },
      content,
    ),
    app.said && h("div", { class: "said", key: "said" }, app.said),
    foot(app),
  );
}

function head(app) {
  const { state } = app.cluster;
  return h(
    "header",
    { class: "head" },
    h(
      "a",
      { class: "brand", href: "#/overview" },
      h("span", { class: "brand-name" }, "Coracle"),
      state && h("span", { class: "brand-cluster" }, state.cluster.name),
    ),
    h(
      "nav",
      { "aria-label": "Views" },
      h(
        "ul",
        { class: "nav" },
        VIEWS.map((name) =>
          h(
            "li",
            { key: name },
            h(
              "a",
              { href: `#/${name}`, "aria-current": name === app.place.view ? "page" : null },
              app.views[name].title,
            ),
          ),
        ),
      ),
    ),
    h(
      "div",
      { class: "head-end" },
      connection(app.cluster),
      button(THEMES[currentTheme()], () => app.switchTheme(), {
        class: "button-quiet button-small",
        "aria-label": `Theme: ${THEMES[currentTheme()]}. Switch`,
      }),
      button("?", () => app.showHelp(true), {
        class: "button-quiet button-small",
        "aria-label": "Keyboard shortcuts",
      }),
    ),
  );
}

function connection({ state, isLive }) {
  const who = state === null ? "" : ` server ${state.server}`;
  return h(
    "span",
    { class: isLive ? "live is-live" : "live" },
    isLive ? `Live,${who}` : `No answer${who === "" ? "" : ` from${who}`}`,
  );
}

function banner(app) {
  const { mover, cluster } = app;
  if (cluster.bye && cluster.isLive)
    return h("div", { class: "banner", role: "status", key: "banner" }, cluster.bye);
  if (!mover.isLost || cluster.state === null) return null;
  const { server } = cluster.state;
  const others = candidates(cluster.state);
  return h(
    "div",
    { class: "banner", role: "alert", key: "banner" },
    h(
      "p",
      null,
      h("strong", null, `Server ${server} does not answer. `),
      "What you see is what it said last. ",
      mover.willMove && `Moving to server ${mover.target.id}…`,
      mover.target === null && mover.hasAsked && "The others do not answer either; asking again. ",
      mover.target !== null &&
        app.views.keys.draft(app) !== null &&
        "Your edit goes along when you move.",
    ),
    h(
      "div",
      { class: "buttons" },
      h("span", { class: "quiet" }, "Go to"),
      mover.willMove && button("Stay here", () => mover.stay()),
      others.map((member) =>
        h(
          "a",
          {
            key: member.id,
            class: mover.target?.id === member.id ? "button button-main" : "button",
            href: mover.addressAt(member),
            on: {
              click: (event) => {
                event.preventDefault();
                mover.moveTo(member);
              },
            },
          },
          `Server ${member.id}`,
        ),
      ),
    ),
  );
}

function foot(app) {
  const { state } = app.cluster;
  const own = state?.members.find((member) => member.id === state.server)?.report;
  return h(
    "footer",
    { class: "foot" },
    state
      ? [
          h(
            "span",
            null,
            `Server ${state.server}`,
            own && `, version ${own.version}, up ${duration(own.uptime_seconds * 1000)}`,
          ),
          h("span", null, `Cluster format ${state.cluster.format}`),
          state.cluster.id && h("span", null, "Cluster ", h("code", null, state.cluster.id)),
        ]
      : h("span", null, "Coracle"),
    h("a", { href: "/metrics" }, "Metrics"),
    h("a", { href: "/readyz?verbose" }, "Health"),
  );
}

/** Draws the help, when it is open. */
export function drawHelp(app) {
  if (!app.isHelpOpen) return null;
  return h(
    "dialog",
    {
      key: "help",
      "aria-labelledby": "help-title",
      ref: (node) => queueMicrotask(() => node.isConnected && node.showModal()),
      on: {
        close: () => app.showHelp(false),
        click: (event) => event.target === event.currentTarget && app.showHelp(false),
      },
    },
    h(
      "div",
      { class: "dialog-body" },
      h("h2", { id: "help-title" }, "Keyboard"),
      h(
        "dl",
        { class: "help" },
        HELP.map(([name, what]) =>
          h(
            "div",
            { key: name },
            h(
              "dt",
              null,
              name.split(" ").map((part) => [h("kbd", null, part), " "]),
            ),
            h("dd", null, what),
          ),
        ),
      ),
      h(
        "div",
        { class: "dialog-buttons" },
        button("Close", () => app.showHelp(false), { class: "button-main" }),
      ),
    ),
  );
}
