/** node:path in a page: POSIX paths, the working directory is the root. */

/** Without `.`, `..`, empty and trailing segments. */
function normalize(path: string): string {
  const absolute = path.startsWith("/");
  const names: string[] = [];
  for (const name of path.split("/")) {
    if (name === "" || name === ".") continue;
    if (name === ".." && names.length > 0 && names.at(-1) !== "..") names.pop();
    else if (name !== ".." || !absolute) names.push(name);
  }
  return (absolute ? "/" : "") + names.join("/") || ".";
}

/** See node:path. */
export const sep = "/";

/** See node:path. */
export function join(...parts: string[]): string {
  return normalize(parts.filter(Boolean).join("/"));
}

/** See node:path. */
export function resolve(...parts: string[]): string {
  return normalize(parts.reduce((path, part) => part.startsWith("/") ? part : `${path}/${part}`, "/"));
}

/** See node:path. */
export function dirname(path: string): string {
  const trimmed = path.replace(/(?<=.)\/+$/, "");
  const at = trimmed.lastIndexOf("/");
  return at < 0 ? "." : at === 0 ? "/" : trimmed.slice(0, at);
}

/** See node:path. */
export function basename(path: string, suffix = ""): string {
  const name = path.replace(/\/+$/, "").split("/").at(-1)!;
  return suffix && name !== suffix && name.endsWith(suffix) ? name.slice(0, -suffix.length) : name;
}

/** See node:path. */
export function relative(from: string, to: string): string {
  const [a, b] = [from, to].map((path) => resolve(path).split("/").filter(Boolean));
  let shared = 0;
  while (shared < a.length && a[shared] === b[shared]) shared++;
  return [...a.slice(shared).map(() => ".."), ...b.slice(shared)].join("/");
}
