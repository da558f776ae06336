// The key that is open: its value, its versions, its edit, and what is done to it. It stays true by
// a watch, which also tells an editor that somebody else has written.

import { fromBase64, toQuery } from "./bytes.js";
import { beginEdit, beginFrom, conflict, isDirty, outcomeOf, rebase, requestOf } from "./edit.js";

const VERSIONS_LIMIT = 50;

/** The open key. `watch` is a WatchLog that is made by the view, `say` tells the person a
 * sentence. */
export class OpenKey {
  constructor({ api, watch, onChange, say }) {
    this.api = api;
    this.watch = watch;
    this.onChange = onChange;
    this.say = say;
    this.reset(null);
  }

  reset(key) {
    this.key = key;
    this.current = null;
    this.error = null;
    this.isLoading = false;
    this.form = null;
    this.edit = null;
    this.versions = null;
    this.version = null;
  }

  /** Opens a key (base64), or none. */
  async open(key) {
    if (key === this.key) return;
    this.watch.stop();
    this.reset(key);
    if (key !== null) await this.refresh();
  }

  /** Reads the key again. */
  async refresh(read = "linearizable") {
    const { key } = this;
    this.isLoading = true;
    this.error = null;
    this.onChange();
    try {
      const current = await this.api.get("/key", { key: toQuery(key), read });
      if (key !== this.key) return;
      this.current = current;
      if (this.edit !== null && this.edit.status !== "saving")
        this.edit = conflict(this.edit, current);
      this.watch.start({ key }, current.revision + 1);
    } catch (error) {
      if (key !== this.key) return;
      this.error = error;
    }
    this.isLoading = false;
    this.onChange();
  }

  /** Takes the changes that the watch has seen. */
  async take(changes) {
    for (const change of changes) {
      if (change.key !== this.key || this.current === null) continue;
      if (change.mod_revision <= this.current.mod_revision) continue;
      this.current = change.truncated
        ? await this.api.get("/key", { key: toQuery(this.key) }).catch(() => this.current)
        : asCurrent(change);
      // What the page saves itself comes back by the watch, maybe before the answer.
      if (this.edit !== null && this.edit.status !== "saving")
        this.edit = conflict(this.edit, this.current);
    }
    if (this.versions !== null) this.loadVersions();
    this.onChange();
  }

  // Versions.

  /** Reads the versions that are kept, or the older ones behind those that are shown. */
  async loadVersions(isOlder = false) {
    const { key } = this;
    const shown = this.versions?.items ?? [];
    this.versions = {
      items: shown,
      compacted: null,
      hasMore: false,
      ...this.versions,
      isLoading: true,
      error: null,
    };
    this.onChange();
    const before = isOlder ? shown.at(-1)?.mod_revision : null;
    try {
      const page = await this.api.get("/revisions", {
        key: toQuery(key),
        before,
        limit: VERSIONS_LIMIT,
      });
      if (key !== this.key) return;
      this.versions = {
        items: isOlder ? [...shown, ...page.revisions] : page.revisions,
        compacted: page.compacted_revision,
        hasMore: page.more,
        isLoading: false,
        error: null,
      };
    } catch (error) {
      if (key !== this.key) return;
      this.versions = { ...this.versions, isLoading: false, error };
    }
    this.onChange();
  }

  /** Shows the value of a version. */
  async showVersion(item) {
    this.version = { item, current: null, error: null };
    this.onChange();
    const { version } = this;
    try {
      version.current = await this.api.get("/key", {
        key: toQuery(this.key),
        at: item.mod_revision,
      });
    } catch (error) {
      version.error = error;
    }
    this.onChange();
  }

  // Edits.

  /** Begins an edit of the value as it is now. */
  beginEdit() {
    if (this.current === null || this.current.truncated || this.edit !== null) return false;
    this.edit = beginEdit(this.current);
    this.onChange();
    return true;
  }

  /** Begins an edit with the value of an older version. */
  beginFromVersion() {
    this.edit = beginFrom(this.current, fromBase64(this.version.current.value ?? ""));
    this.onChange();
  }

  /** Changes the edit. A sentence that it fails with is shown with it. */
  change(transition) {
    try {
      this.edit = { ...transition(this.edit), error: null };
    } catch (error) {
      this.edit = { ...this.edit, error: error.message };
    }
    this.onChange();
  }

  /** Gives the edit up. */
  cancelEdit() {
    this.edit = null;
    this.onChange();
  }

  /** Goes on editing on top of what somebody else wrote. */
  rebase() {
    this.change(rebase);
  }

  /** True when something would be lost if the page went away. */
  get isDirty() {
    return isDirty(this.edit);
  }

  /** Saves the edit, over the revision that it began from and no other. */
  async save(limits) {
    const { edit } = this;
    if (edit === null || edit.status === "saving") return;
    let request;
    try {
      request = requestOf(edit, limits);
    } catch (error) {
      this.edit = { ...edit, error: error.message };
      this.onChange();
      return;
    }
    this.edit = { ...edit, status: "saving", error: null };
    this.onChange();
    try {
      const { mod_revision: revision } = await this.api.post("/put", request);
      this.finish(`Saved as revision ${revision}.`);
    } catch (error) {
      await this.fail(error, edit, request);
    }
    await this.refresh();
  }

  /** Deletes the key, if it is as it was shown. */
  async remove(modRevision) {
    const { revision } = await this.api.post("/delete", {
      key: this.key,
      mod_revision: modRevision,
    });
    await this.refresh();
    return `Deleted at revision ${revision}.`;
  }

  finish(sentence) {
    this.edit = null;
    this.say(sentence);
  }

  async fail(error, edit, request) {
    if (error.code === "conflict" && error.body.current) {
      this.edit = { ...conflict({ ...edit, status: "editing" }, error.body.current) };
    } else if (error.mayHaveExecuted) {
      await this.findOut(error, edit, request);
    } else {
      this.edit = { ...edit, status: "editing", error: error.message };
    }
  }

  /** The server did not say whether it saved. The key says it: a save has its own revision. */
  async findOut(error, edit, request) {
    let now;
    try {
      now = await this.api.get("/key", { key: toQuery(edit.key) });
    } catch {
      const text = `${error.message} Maybe the value was saved; saving again is safe.`;
      this.edit = { ...edit, status: "editing", error: text };
      return;
    }
    const outcome = outcomeOf(edit, request, now);
    if (outcome === "done") {
      this.finish(
        `${error.message} The value was saved all the same, as revision ${now.mod_revision}.`,
      );
    } else if (outcome === "other") {
      this.edit = conflict({ ...edit, status: "editing" }, now);
    } else {
      const text = `${error.message} The key is unchanged so far; saving again is safe.`;
      this.edit = { ...edit, status: "editing", error: text };
    }
  }
}

/** A change of a watch in the form of `/key`. */
function asCurrent(change) {
  const found = change.kind === "set";
  return {
    revision: change.mod_revision,
    key: change.key,
    found,
    create_revision: found ? change.create_revision : 0,
    // The revision of the deletion is not one that a write could name.
    mod_revision: found ? change.mod_revision : 0,
    version: found ? change.version : 0,
    lease: found ? change.lease : null,
    expires_s: found ? change.expires_s : 0,
    value_bytes: found ? change.value_bytes : 0,
    value: found ? change.value : null,
    truncated: false,
  };
}
