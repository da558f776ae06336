// The store of the mock cluster: keys with revisions, history, compaction and watches, as
// docs/console-interface.md describes them. Keys and values are Buffers outside, and the keys of
// maps are strings of one character a byte inside, which sort as their bytes do.

const PREVIEW_BYTES = 256;
const VALUE_BYTES_MAX = 2 * 1024 * 1024;
const WATCH_BYTES_MAX = 4096;

export class MockStore {
  constructor() {
    this.revision = 1;
    this.compacted = 1;
    this.live = new Map();
    this.changes = [];
    this.watchers = new Set();
  }

  /** Writes a key, if it is at `modRevision` (`null`: in any case). The answer is the new revision,
   * or `null` for a conflict. */
  put(key, value, { modRevision = null, expires = 0, lease = null } = {}) {
    const id = idOf(key);
    const old = this.live.get(id) ?? null;
    if (modRevision !== null && (old?.mod_revision ?? 0) !== modRevision) return null;
    this.revision += 1;
    const record = {
      id,
      kind: "set",
      create_revision: old?.create_revision ?? this.revision,
      mod_revision: this.revision,
      version: (old?.version ?? 0) + 1,
      lease,
      expires_s: expires,
      value: Buffer.from(value),
    };
    this.live.set(id, record);
    this.record(record);
    return this.revision;
  }

  /** Deletes a key, if it is at `modRevision`. The answer is as that of `put`. */
  delete(key, { modRevision = null, kind = "deleted" } = {}) {
    const id = idOf(key);
    const old = this.live.get(id) ?? null;
    if (old === null || (modRevision !== null && old.mod_revision !== modRevision)) return null;
    this.revision += 1;
    this.live.delete(id);
    this.record({
      id,
      kind,
      create_revision: 0,
      mod_revision: this.revision,
      version: 0,
      lease: null,
      expires_s: 0,
      value: null,
    });
    return this.revision;
  }

  /** Forgets what was superseded before a revision. */
  compact(revision) {
    this.compacted = revision;
    const newest = new Map();
    for (const change of this.changes)
      if (change.mod_revision <= revision) newest.set(change.id, change);
    this.changes = this.changes.filter(
      (change) =>
        change.mod_revision > revision ||
        (newest.get(change.id) === change && change.kind === "set"),
    );
  }

  record(change) {
    this.changes.push(change);
    for (const watcher of this.watchers) watcher(change);
  }

  /** The records that are live at a revision, by key. */
  at(revision) {
    if (revision === this.revision) return this.live;
    const records = new Map();
    for (const change of this.changes) {
      if (change.mod_revision > revision) break;
      if (change.kind === "set") records.set(change.id, change);
      else records.delete(change.id);
    }
    return records;
  }

  /** A page of keys. */
  list({ prefix, after, limit, at }) {
    const ids = [...this.at(at).keys()].filter(
      (id) => id.startsWith(idOf(prefix)) && (after === null || id > idOf(after)),
    );
    ids.sort();
    const records = this.at(at);
    const keys = ids.slice(0, limit).map((id) => {
      const { value, ...record } = records.get(id);
      return {
        ...publicOf(record),
        value_bytes: value.length,
        value: encode(value, PREVIEW_BYTES),
      };
    });
    return { revision: at, keys, more: ids.length > limit };
  }

  /** One key. */
  get(key, at) {
    const record = this.at(at).get(idOf(key));
    const absent = {
      revision: at,
      key: key.toString("base64"),
      found: false,
      create_revision: 0,
      mod_revision: 0,
      version: 0,
      lease: null,
      expires_s: 0,
      value_bytes: 0,
      value: null,
      truncated: false,
    };
    if (!record) return absent;
    const { value, ...rest } = record;
    const { kind, ...facts } = publicOf(rest);
    return {
      revision: at,
      ...facts,
      found: true,
      value_bytes: value.length,
      value: encode(value, VALUE_BYTES_MAX),
      truncated: value.length > VALUE_BYTES_MAX,
    };
  }

  /** The versions of a key that are kept. */
  revisions(key, before, limit) {
    const id = idOf(key);
    const all = this.changes
      .filter((change) => change.id === id && (before === null || change.mod_revision < before))
      .reverse();
    const revisions = all.slice(0, limit).map((change) => {
      const { key: _, create_revision: __, ...facts } = publicOf(change);
      return {
        ...facts,
        value_bytes: change.value?.length ?? 0,
        value: encode(change.value, PREVIEW_BYTES),
      };
    });
    return {
      revision: this.revision,
      compacted_revision: this.compacted,
      revisions,
      more: all.length > limit,
    };
  }

  /** The changes that a watch of `matches` has to send from a revision on. */
  since(from, matches) {
    return this.changes.filter((change) => change.mod_revision >= from && matches(change.id));
  }

  /** A function that tells whether a key belongs to a watch. */
  static matcher({ key, prefix }) {
    return key !== null ? (id) => id === idOf(key) : (id) => id.startsWith(idOf(prefix));
  }
}

/** A change as a watch sends it. */
export function changeOf(change) {
  return {
    ...publicOf(change),
    value_bytes: change.value?.length ?? 0,
    value: encode(change.value, WATCH_BYTES_MAX),
    truncated: (change.value?.length ?? 0) > WATCH_BYTES_MAX,
  };
}

function publicOf({ id, value, ...record }) {
  return { key: Buffer.from(id, "latin1").toString("base64"), ...record };
}

function encode(value, bytesMax) {
  return value === null ? null : value.subarray(0, bytesMax).toString("base64");
}

function idOf(key) {
  return Buffer.from(key).toString("latin1");
}
