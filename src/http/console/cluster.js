// The cluster as the page knows it: the events of `/console/v1/events`, put together. Nothing here
// touches the document or the network.

/** The number of samples that the page keeps, as the server does. */
export const SAMPLES_MAX = 600;
/** The number of terms that the page keeps, as the server does. */
export const TERMS_MAX = 256;

/** A cluster of which nothing is known yet. */
export function unknownCluster() {
  return { state: null, terms: [], samples: [], isLive: false, bye: null };
}

/** The cluster after an event. */
export function applyEvent(cluster, name, data) {
  switch (name) {
    case "hello":
      return {
        state: data.state,
        terms: newestFirst(data.terms).slice(0, TERMS_MAX),
        samples: toObjects(data.samples).slice(-SAMPLES_MAX),
        isLive: true,
        bye: null,
      };
    case "state":
      return { ...cluster, state: data, isLive: true };
    case "term":
      return { ...cluster, terms: withTerm(cluster.terms, data) };
    case "sample":
      return { ...cluster, samples: withSamples(cluster.samples, toObjects(data)) };
    case "bye":
      return { ...cluster, bye: data.text };
    default:
      return cluster;
  }
}

/** The cluster when its server is not heard any more. What was known stays to be read. */
export function lose(cluster) {
  return { ...cluster, isLive: false };
}

/** The member with that id, or `null`. */
export function memberOf(state, id) {
  return state?.members.find((member) => member.id === id) ?? null;
}

/** The rows of samples as objects. */
export function toObjects({ fields, rows }) {
  return rows.map((row) => Object.fromEntries(fields.map((field, index) => [field, row[index]])));
}

/** The samples of the last `windowMs`, counted back from the newest. */
export function within(samples, windowMs) {
  const last = samples.at(-1);
  if (!last) return [];
  return samples.filter((sample) => sample.at_ms > last.at_ms - windowMs);
}

/** The ids in `behind` of any of the samples, ascending. */
export function followersIn(samples) {
  const ids = new Set();
  for (const sample of samples)
    for (const id of Object.keys(sample.behind ?? {})) ids.add(Number(id));
  return [...ids].sort((one, other) => one - other);
}

function withSamples(samples, added) {
  const last = samples.at(-1)?.at_ms ?? -Infinity;
  const news = added.filter((sample) => sample.at_ms > last);
  return [...samples, ...news].slice(-SAMPLES_MAX);
}

function withTerm(terms, term) {
  const others = terms.filter((other) => other.term !== term.term);
  return newestFirst([term, ...others]).slice(0, TERMS_MAX);
}

function newestFirst(terms) {
  return [...terms].sort((one, other) => other.term - one.term);
}
