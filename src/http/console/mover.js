// Moves the page to another server when its own does not answer. A person who edits is asked
// first; anybody else is taken along after a moment in which it can be stopped.

import { candidates, findLiving, packDraft } from "./failover.js";
import { elsewhere } from "./route.js";

/** The moment before the page moves by itself. */
const MOVE_AFTER_MS = 700;
/** The pause before the others are asked again. */
const ASK_AGAIN_MS = 2_000;
/** The page asks the others when so many tries at its own server have failed. */
const FAILURES_MIN = 2;

/** `onChange` is called when there is something to draw; `draft`, `place` and `theme` tell what
 * is to be taken along. */
export class Mover {
  constructor({
    onChange,
    draft,
    place,
    theme,
    find = findLiving,
    go = (url) => location.assign(url),
  }) {
    Object.assign(this, { onChange, draft, place, theme, find, go });
    this.isStaying = false;
    this.isMoving = false;
    this.settle();
  }

  settle() {
    this.state = null;
    this.target = null;
    this.isAsking = false;
    this.hasAsked = false;
    this.isLost = false;
    clearTimeout(this.timer);
    clearTimeout(this.again);
  }

  /** The server answers (again). */
  hear() {
    this.settle();
    this.isStaying = false;
  }

  /** The server does not answer. `state` is what it said last. */
  lose(state, failures) {
    this.isLost = true;
    this.state = state;
    if (failures >= FAILURES_MIN && this.target === null) this.ask();
  }

  /** Asks the others who answers, until one does. */
  async ask() {
    if (this.isAsking) return;
    this.isAsking = true;
    const target = await this.find(candidates(this.state));
    this.isAsking = false;
    if (!this.isLost) return;
    this.hasAsked = true;
    this.target = target;
    if (target === null) this.again = setTimeout(() => this.isLost && this.ask(), ASK_AGAIN_MS);
    else if (this.willMove)
      this.timer = setTimeout(() => this.willMove && this.moveTo(target), MOVE_AFTER_MS);
    this.onChange();
  }

  /** True when the page goes by itself. */
  get willMove() {
    return this.isLost && this.target !== null && !this.isStaying && this.draft() === null;
  }

  /** The person wants to wait for the server of this page. */
  stay() {
    this.isStaying = true;
    clearTimeout(this.timer);
    this.onChange();
  }

  /** The address of this place at a member, with what goes along. */
  addressAt(member) {
    const theme = this.theme();
    return elsewhere(member.http_address, this.place(), {
      moved_from: this.state.server,
      theme: theme === "system" ? null : theme,
      draft: packDraft(this.draft()),
    });
  }

  /** Goes to the page of a member. */
  moveTo(member) {
    this.isMoving = true;
    this.go(this.addressAt(member));
  }
}
