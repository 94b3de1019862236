/** Paths with wildcards: `*` stands for anything within a segment, `**` for any segments. */

/** Whether a path (segments between slashes) matches a pattern. */
export function matches(pattern: string, path: string): boolean {
  return matchSegments(pattern.split("/"), path.split("/"));
}

/** Whether one segment matches. */
export function matchSegment(pattern: string, segment: string): boolean {
  return new RegExp(`^${pattern.split("*").map((text) => text.replace(/[.+?^${}()|[\]\\]/g, "\\$&")).join(".*")}$`).test(segment);
}

function matchSegments([head, ...rest]: readonly string[], path: readonly string[]): boolean {
  if (head === undefined) return path.length === 0;
  if (head === "**") return path.some((_, i) => matchSegments(rest, path.slice(i))) || matchSegments(rest, []);
  return path.length > 0 && matchSegment(head, path[0]) && matchSegments(rest, path.slice(1));
}
