// The keys that begin with a prefix, a page at a time. All pages are of one moment of the store.

import { toQuery } from "./bytes.js";

const LIMIT = 100;

/** The list. `onChange` is called when there is something new to draw. */
export class KeyList {
  constructor(api, onChange) {
    this.api = api;
    this.onChange = onChange;
    this.abort = null;
    this.reset(null);
  }

  reset(prefix) {
    this.prefix = prefix;
    this.keys = [];
    this.revision = null;
    this.hasMore = false;
    this.isLoading = false;
    this.error = null;
    this.read = "linearizable";
  }

  /** Shows the keys of a prefix (base64). */
  show(prefix) {
    if (prefix === this.prefix) return;
    this.reset(prefix);
    this.load(false);
  }

  /** Reads the list again, as the store is now. `read` says from whom. */
  refresh(read = this.read) {
    this.read = read;
    this.load(false);
  }

  /** Reads the next page. */
  more() {
    if (this.hasMore && !this.isLoading) this.load(true);
  }

  async load(isNextPage) {
    this.abort?.abort();
    const abort = new AbortController();
    this.abort = abort;
    this.isLoading = true;
    this.error = null;
    this.onChange();
    const params = {
      prefix: toQuery(this.prefix),
      limit: LIMIT,
      read: this.read,
      after: isNextPage ? toQuery(this.keys.at(-1).key) : null,
      at: isNextPage ? this.revision : null,
    };
    try {
      const page = await this.api.get("/keys", params, abort.signal);
      if (abort.signal.aborted) return;
      this.keys = isNextPage ? [...this.keys, ...page.keys] : page.keys;
      this.revision = page.revision;
      this.hasMore = page.more;
    } catch (error) {
      if (abort.signal.aborted) return;
      this.error = error;
    }
    this.isLoading = false;
    this.onChange();
  }

  /** Takes a change into the list, so that it stays true while it is looked at. A key behind the
   * last one that is shown comes with its page. */
  take(change) {
    if (this.prefix === null || !atob(change.key).startsWith(atob(this.prefix))) return;
    const index = this.keys.findIndex((it) => it.key === change.key);
    if (change.kind !== "set") {
      if (index >= 0) this.keys = this.keys.toSpliced(index, 1);
    } else if (index >= 0) {
      this.keys = this.keys.with(index, change);
    } else {
      this.insert(change);
    }
  }

  insert(change) {
    // The characters of `atob` are bytes, so these texts are in the order of the keys.
    const next = this.keys.findIndex((it) => atob(it.key) > atob(change.key));
    if (next < 0 && this.hasMore) return;
    this.keys = this.keys.toSpliced(next < 0 ? this.keys.length : next, 0, change);
  }
}
