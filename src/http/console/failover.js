// What happens when the server of this page does not answer any more: the page asks the other
// members whether something answers there, and goes to the page of one that does.

/** So long a try may take. */
const PROBE_MS = 1_500;
/** The draft of a value goes along up to this length, in characters of its address. */
const DRAFT_CHARACTERS_MAX = 200_000;

/** The members to which the page can go, the best first: the leader, then those that the leader
 * heard when this was last known. */
export function candidates(state) {
  if (state === null) return [];
  const rank = (member) => {
    if (member.id === state.leader) return 0;
    if (member.state === "unseen") return 3;
    return member.report === null || member.report_error ? 2 : 1;
  };
  return state.members
    .filter((member) => member.id !== state.server && member.http_address)
    .sort((one, other) => rank(one) - rank(other) || one.id - other.id);
}

/** The first of the candidates where something answers, or `null`. All are asked at once, so that
 * a dead one costs no time; a better one that answers as well is taken. */
export async function findLiving(members, probe = isAnswering) {
  const answers = await Promise.all(members.map((member) => probe(member.http_address)));
  return members.find((_, index) => answers[index]) ?? null;
}

/** True when something answers HTTP at the address. The answer itself cannot be read, and need
 * not be. */
export async function isAnswering(httpAddress) {
  try {
    await fetch(`http://${httpAddress}/livez`, {
      mode: "no-cors",
      credentials: "omit",
      cache: "no-store",
      referrerPolicy: "no-referrer",
      signal: AbortSignal.timeout(PROBE_MS),
    });
    return true;
  } catch {
    return false;
  }
}

/** The text for the address that carries an unsaved edit, or `null` when it is too long. */
export function packDraft(draft) {
  if (draft === null) return null;
  const text = JSON.stringify(draft);
  return encodeURIComponent(text).length > DRAFT_CHARACTERS_MAX ? null : text;
}

/** The edit that `packDraft` has packed, or `null` for anything else. */
export function unpackDraft(text) {
  let draft;
  try {
    draft = JSON.parse(text);
  } catch {
    return null;
  }
  const base = draft?.base ?? {};
  const isDraft =
    ["text", "expires", "lease"].every((name) => typeof draft?.[name] === "string") &&
    ["text", "json", "hex"].includes(draft.form) &&
    isBase64(draft.key) &&
    base.key === draft.key &&
    (base.value === null || isBase64(base.value)) &&
    (base.lease === null || typeof base.lease === "string") &&
    [base.mod_revision, base.expires_s].every(Number.isSafeInteger);
  return isDraft ? draft : null;
}

function isBase64(text) {
  return (
    typeof text === "string" &&
    /^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}(==|[A-Za-z0-9+/]=))?$/.test(text)
  );
}
