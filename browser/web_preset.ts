/** Presets by URL: their files are fetched into memory when they are asked for. Stands for presets/web.ts. */

import { OnnxHubError } from "../errors.ts";
import type { PresetSource } from "../presets/source.ts";
import { write } from "./files.ts";

/**
 * The files of the folder at a URL; what the server answers with 404 is not there. A page can read another server's files only where that server
 * says so (CORS), as huggingface.co does.
 *
 * Throws "preset/connection" where a file can't be fetched.
 */
export function webSource(url: string): PresetSource {
  const home = new URL(url.endsWith("/") ? url : `${url}/`);
  const fetched = new Map<string, string | undefined>();
  return {
    name: home.href,
    list: () => Promise.resolve([...fetched].flatMap(([name, path]) => path === undefined ? [] : [name])),
    async file(name) {
      if (!fetched.has(name)) fetched.set(name, await download(new URL(name, home)));
      return fetched.get(name);
    },
  };
}

/** Fetches a file into memory; its path there, or undefined where there is none. */
async function download(url: URL): Promise<string | undefined> {
  const fail = (found: string, cause?: unknown): OnnxHubError =>
    new OnnxHubError("preset/connection", "A file of the preset can't be fetched", { path: url.href, found, cause });
  let response: Response;
  try {
    response = await fetch(url);
  } catch (cause) {
    throw fail(String(cause), cause);
  }
  if (response.status === 404) return undefined;
  if (!response.ok) throw fail(`HTTP status ${response.status}`);
  const path = `/web/${url.host}${decodeURIComponent(url.pathname)}`;
  await write(path, await response.arrayBuffer());
  return path;
}
