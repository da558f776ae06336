// Questions before something is done, in the browser's own dialog: it keeps the focus inside, and
// Escape closes it.

import { button, notice } from "./parts.js";
import { h } from "./vdom.js";

/** Opens a question.
 *
 * `title` and `action` (the word on the button) are texts. `body` draws what is asked. `typed` is
 * a word that the person has to type first, or `null`. `plan` finds out what would happen, and
 * `run` does it; both may fail with an ApiError, which is shown. */
export function ask(
  app,
  { title, action, body, typed = null, plan = null, run, isDangerous = false },
) {
  const dialog = {
    title,
    action,
    body,
    typed,
    run,
    isDangerous,
    entered: "",
    plan: null,
    error: null,
    isBusy: false,
  };
  app.dialog = dialog;
  app.draw();
  if (plan !== null) {
    dialog.isBusy = true;
    plan()
      .then(
        (answer) => {
          dialog.plan = answer;
        },
        (error) => {
          dialog.error = error;
        },
      )
      .finally(() => {
        dialog.isBusy = false;
        app.draw();
      });
  }
}

/** Closes the question without an answer. */
export function dismiss(app) {
  app.dialog = null;
  closeDialog();
  app.draw();
}

/** Closes the dialog that is open, before it is taken out of the document: only so does the focus
 * go back to where it was. */
export function closeDialog() {
  document.querySelector("dialog[open]")?.close();
}

/** Draws the question that is open, if there is one. */
export function drawDialog(app) {
  const { dialog } = app;
  if (dialog === null) return null;
  return h(
    "dialog",
    {
      key: `dialog-${dialog.title}`,
      "aria-labelledby": "dialog-title",
      ref: (node) => queueMicrotask(() => node.isConnected && node.showModal()),
      on: {
        close: () => app.dialog === dialog && dismiss(app),
        click: (event) => event.target === event.currentTarget && dismiss(app),
      },
    },
    h(
      "form",
      {
        method: "dialog",
        class: "dialog-body",
        on: {
          submit: (event) => {
            event.preventDefault();
            if (isReady(dialog)) confirm(app, dialog);
          },
        },
      },
      h("h2", { id: "dialog-title" }, dialog.title),
      dialog.body(dialog),
      dialog.error &&
        notice(
          "bad",
          dialog.error.message,
          dialog.error.mayHaveExecuted &&
            " It may have been done all the same: look before you try again.",
        ),
      dialog.typed !== null &&
        h(
          "label",
          { class: "field" },
          `To go on, type ${dialog.typed}`,
          h("input", {
            type: "text",
            name: "typed",
            autocomplete: "off",
            value: dialog.entered,
            on: {
              input: (event) => {
                dialog.entered = event.target.value;
                app.draw();
              },
            },
          }),
        ),
      h(
        "div",
        { class: "dialog-buttons" },
        button("Cancel", () => dismiss(app)),
        h(
          "button",
          {
            type: "submit",
            class: dialog.isDangerous ? "button button-danger" : "button button-main",
            disabled: !isReady(dialog),
          },
          dialog.isBusy ? "Wait…" : dialog.action,
        ),
      ),
    ),
  );
}

/** True when the person may go on. */
function isReady({ typed, entered, isBusy, error }) {
  return (typed === null || entered.trim() === typed) && !isBusy && error === null;
}

async function confirm(app, dialog) {
  dialog.isBusy = true;
  app.draw();
  try {
    const text = await dialog.run();
    if (app.dialog === dialog) dismiss(app);
    app.say(text);
  } catch (error) {
    dialog.error = error;
  }
  dialog.isBusy = false;
  app.draw();
}
