/** File names that are safe to join to a cache's directory. */

import { OnnxHubError } from "../../errors.ts";

/** Gives the name back if it stays below the directory that it is joined to, on every system. Throws "preset/file-name". */
export function safeName(name: string, preset: string): string {
  const parts = name.split("/");
  if (parts.every((part) => part !== "" && part !== "." && part !== ".." && !/[\\:\0]/.test(part))) return name;
  throw new OnnxHubError("preset/file-name", "A preset's file has a name that leads elsewhere", {
    path: preset,
    expected: "a relative path with slashes",
    found: JSON.stringify(name),
  });
}

/** A file's name in a URL's path. */
export function inUrl(name: string): string {
  return name.split("/").map(encodeURIComponent).join("/");
}
