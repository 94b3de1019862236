/** Lists of names in errors. */

/** The names with commas between them: the first `limit`, and how many more there are. */
export function enumerate(names: readonly string[], limit = 20): string {
  const rest = names.length - limit;
  return names.slice(0, limit).join(", ") + (rest > 0 ? ` and ${rest} more` : "");
}
