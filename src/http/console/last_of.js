// The page is drawn anew with each event of its server, and most of what it shows is as before.

/** The same function, which keeps its last answer for the same arguments: what is costly to make
 * from a large value is made once, and not with each drawing. */
export function lastOf(make) {
  let given = null;
  let answer = null;
  return (...args) => {
    const isSame = given?.length === args.length && args.every((it, index) => it === given[index]);
    if (!isSame) {
      answer = make(...args);
      given = args;
    }
    return answer;
  };
}
