/** What goes wrong at a hub, each with a message and a code of its own. */

import { OnnxHubError } from "../../errors.ts";

/** Runs what touches hubs, environment and cache; what the runtime or the disk refuses becomes this project's error. */
export async function guarded<T>(name: string, body: () => T | Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    throw permissionFailure(name, error) ?? diskFailure(name, error) ?? error;
  }
}

/** What Deno did not allow; undefined for any other error. */
export function permissionFailure(name: string, error: unknown): OnnxHubError | undefined {
  if (!(error instanceof Error) || !(error.name === "NotCapable" || /run again with the --allow-/.test(error.message))) return undefined;
  const flag = /--allow-[a-z]+/.exec(error.message)?.[0] ?? "the flag it names";
  return new OnnxHubError("preset/permission", "Deno was not allowed to fetch this preset", {
    path: name,
    found: error.message,
    remedy: `Run with ${flag}; fetching presets needs --allow-net, --allow-env, --allow-read and --allow-write.`,
    cause: error,
  });
}

/** What the file system refuses; undefined for any other error. */
function diskFailure(name: string, error: unknown): OnnxHubError | undefined {
  if (!(error instanceof Error) || error instanceof OnnxHubError) return undefined;
  const { code, path, syscall } = error as { code?: unknown; path?: unknown; syscall?: unknown };
  if (typeof code !== "string" || (path === undefined && syscall === undefined)) return undefined;
  return new OnnxHubError("preset/disk", code === "ENOSPC" ? "The disk of the cache is full" : "The cache can't be used", {
    path: typeof path === "string" ? path : name,
    found: error.message,
    remedy: "Make room, or point the cache elsewhere: HF_HUB_CACHE, KAGGLEHUB_CACHE or MODELSCOPE_CACHE.",
    cause: error,
  });
}

/** A connection that could not be made or was cut. */
export function connectionFailure(name: string, url: string, error: unknown): OnnxHubError {
  const { message, cause } = error as { message?: string; cause?: { message?: string } };
  return new OnnxHubError("preset/connection", `${new URL(url).host} can't be reached, or cut the connection`, {
    path: name,
    found: cause?.message ?? message ?? String(error),
    remedy: "Look at the network and try again; what was received is kept, and the download goes on from there.",
    cause: error,
  });
}

/** Nothing came for too long. */
export function stalled(name: string, url: string, seconds: number): OnnxHubError {
  return new OnnxHubError("preset/stalled", `${new URL(url).host} sent nothing for ${seconds} seconds`, {
    path: name,
    remedy: "Try again later; what was received is kept.",
  });
}

/** What an HTTP status means where the hub says nothing more. */
export function statusFailure(name: string, url: string, status: number, message: string, after?: number): OnnxHubError {
  const { host } = new URL(url);
  const found = `HTTP ${status}${message ? `: ${message}` : ""}`;
  if (status === 429) {
    return new OnnxHubError("preset/rate-limited", `${host} limits how often it is asked`, {
      path: name,
      found,
      remedy: after ? `Try again in ${Math.ceil(after)} seconds, or with credentials.` : "Try again later, or with credentials.",
    });
  }
  if (status >= 500) {
    return new OnnxHubError("preset/unavailable", `${host} is out of service`, { path: name, found, remedy: "Try again later." });
  }
  return new OnnxHubError("preset/http", `${host} refuses`, { path: name, expected: "HTTP 200", found });
}
