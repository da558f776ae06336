// The changes of a key or a prefix as they come. The log goes on where it stopped when the stream
// breaks, so that nothing is missed and nothing comes twice.

import { address } from "./api.js";
import { toQuery } from "./bytes.js";
import { openStream } from "./stream.js";

/** The log keeps so many changes; older ones go. */
export const CHANGES_MAX = 300;

/** The log. `onChanges` gets the changes of a revision, `onUpdate` is called when there is
 * something to draw. */
export class WatchLog {
  constructor({ onChanges = () => {}, onUpdate, open = openStream }) {
    this.onChanges = onChanges;
    this.onUpdate = onUpdate;
    this.openStream = open;
    this.stream = null;
    this.target = null;
    this.clear();
  }

  clear() {
    this.changes = [];
    this.seen = 0;
    this.dropped = 0;
    this.ended = null;
    this.isConnected = false;
  }

  /** Begins to watch: `target` is `{key}` or `{prefix}` (base64), `from` a revision or `null`. */
  start(target, from = null) {
    this.stop();
    this.target = target;
    this.clear();
    this.next = from;
    const [name, value] = Object.entries(target)[0];
    this.stream = this.openStream({
      url: () => address("/watch", { [name]: toQuery(value), from: this.next }),
      handlers: {
        watching: ({ revision }) => this.hear(revision),
        progress: ({ revision }) => this.hear(revision),
        changes: (data) => this.take(data),
        ended: (data) => this.end(data),
      },
      onLost: () => {
        this.isConnected = false;
        this.onUpdate();
      },
    });
  }

  /** Ends the watch. What it has seen stays. */
  stop() {
    this.stream?.close();
    this.stream = null;
    this.target = null;
    this.isConnected = false;
  }

  hear(revision) {
    const isNews = !this.isConnected;
    this.isConnected = true;
    // A watch that began somewhere in the past is told the current revision before the changes.
    if (this.next === null || revision >= this.next) this.reached = revision;
    if (this.next === null) this.next = revision + 1;
    if (isNews) this.onUpdate();
  }

  take({ revision, changes, left_out: leftOut }) {
    if (this.next !== null && revision < this.next) return;
    this.isConnected = true;
    this.next = revision + 1;
    this.reached = revision;
    this.seen += changes.length + leftOut;
    this.dropped += leftOut;
    this.changes = [...[...changes].reverse(), ...this.changes];
    this.dropped += Math.max(0, this.changes.length - CHANGES_MAX);
    this.changes = this.changes.slice(0, CHANGES_MAX);
    this.onChanges(changes);
    this.onUpdate();
  }

  end(data) {
    this.ended = data;
    this.stream?.close();
    this.stream = null;
    this.isConnected = false;
    this.onUpdate();
  }
}
