// The place in the page, behind the `#` of its address. It is all that goes along when the page
// moves to another server, so each place can be written there.

/** The views, in the order of the navigation. */
export const VIEWS = ["overview", "servers", "keys", "terms"];

/** The place that a hash names: `{view, params}`. An unknown one is the overview. */
export function parse(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const params = Object.fromEntries(new URLSearchParams(query));
  return { view: VIEWS.includes(path) ? path : VIEWS[0], params };
}

/** The hash of a place. Parameters that are empty are left out. */
export function format({ view, params = {} }) {
  const kept = Object.entries(params).filter(([, value]) => value !== "" && value != null);
  const query = new URLSearchParams(kept).toString();
  return query === "" ? `#/${view}` : `#/${view}?${query}`;
}

/** The address of the same place in the page of another server. `extra` goes along once, and is
 * taken out of the address by the page that arrives. */
export function elsewhere(httpAddress, place, extra) {
  return `http://${httpAddress}/${format({ ...place, params: { ...place.params, ...extra } })}`;
}

/** Splits the parameters that only say how the page came here from those of the place. */
export function arrive(place) {
  const { moved_from: movedFrom, theme, draft, ...params } = place.params;
  // Anybody can write an address, and this one is shown in a sentence of the page.
  const id = /^\d{1,16}$/.test(movedFrom ?? "") ? movedFrom : undefined;
  return { place: { ...place, params }, movedFrom: id, theme, draft };
}
