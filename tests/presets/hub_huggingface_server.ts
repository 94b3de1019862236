/** A server that behaves as the Hugging Face Hub does, with large files at another host. */

import type { ServerResponse } from "node:http";
import { gitHash, json, type Seen, send, type Sending, serve, type Server, sha256 } from "./hub_server.ts";

/** A repository. */
export interface Repository {
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly commit: string;
  /** Revisions beside `main` and the commit. */
  readonly revisions?: readonly string[];
  /** The files that are kept elsewhere. */
  readonly large?: readonly string[];
  readonly gated?: boolean;
  readonly private?: boolean;
}

/** A running hub and its store of large files. */
export interface Hub {
  readonly hub: Server;
  readonly store: Server;
  /** What the next requests get instead, first come first served; null is the usual. */
  readonly hubTricks: (((request: Seen, response: ServerResponse) => void) | null)[];
  readonly storeTricks: (((request: Seen, response: ServerResponse, content: Uint8Array) => void) | null)[];
  close(): Promise<void>;
}

export const TOKEN = "hf_right";

/** Starts a hub with repositories by name. */
export async function serveHub(repositories: Readonly<Record<string, Repository>>): Promise<Hub> {
  const hubTricks: Hub["hubTricks"] = [];
  const storeTricks: Hub["storeTricks"] = [];
  const contents = new Map<string, Uint8Array>();
  const store = await serve((request, response) => {
    const found = contents.get(request.path.slice(1));
    if (!found) return void response.writeHead(404).end();
    const trick = storeTricks.shift();
    if (trick) trick(request, response, found);
    else send(request, response, found, { etag: "the-store's-own" });
  }, "localhost");
  const refuse = (
    response: ServerResponse,
    status: number,
    code: string | null,
    message: string,
    more: Record<string, string> = {},
  ): void => {
    json(response, status, { error: message }, { ...(code === null ? {} : { "x-error-code": code }), "x-error-message": message, ...more });
  };
  const hub = await serve((request, response) => {
    const trick = hubTricks.shift();
    if (trick) return trick(request, response);
    const [, name, revision, file] = /^\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(request.path) ?? [];
    if (name === "org/old-name") {
      response.writeHead(307, { location: request.path.replace("old-name", "tiny") });
      return void response.end();
    }
    const repository = repositories[name];
    const { authorization } = request.headers;
    if (authorization !== undefined && authorization !== `Bearer ${TOKEN}`) {
      return refuse(response, 401, null, "Invalid credentials in Authorization header");
    }
    if (!repository || (repository.private && !authorization)) {
      return refuse(response, authorization ? 404 : 401, "RepoNotFound", "Repository not found");
    }
    if (repository.gated) {
      return refuse(response, authorization ? 403 : 401, "GatedRepo", `Access to model ${name} is restricted.`);
    }
    const { commit, revisions = [], large = [] } = repository;
    if (![commit, "main", ...revisions].includes(decodeURIComponent(revision))) {
      return refuse(response, 404, "RevisionNotFound", `Invalid rev id: ${revision}`);
    }
    const bytes = repository.files.get(decodeURIComponent(file));
    const common = { "x-repo-commit": commit };
    if (!bytes) return refuse(response, 404, "EntryNotFound", "Entry not found", common);
    if (!large.includes(file)) return send(request, response, bytes, { etag: gitHash(bytes), headers: common });
    const hash = sha256(bytes);
    contents.set(hash, bytes);
    response.writeHead(302, {
      ...common,
      location: `${store.url}/${hash}`,
      "x-linked-etag": `"${hash}"`,
      "x-linked-size": String(bytes.length),
    });
    response.end();
  });
  return {
    hub,
    store,
    hubTricks,
    storeTricks,
    close: async () => {
      await hub.close();
      await store.close();
    },
  };
}

/** A trick of the store: content, sent in a bad way. */
export function sent(sending: Sending): (request: Seen, response: ServerResponse, content: Uint8Array) => void {
  return (request, response, content) => send(request, response, content, sending);
}

/** A trick of either: a status. */
export function status(code: number, headers: Readonly<Record<string, string>> = {}): (request: Seen, response: ServerResponse) => void {
  return (_request, response) => json(response, code, { error: "not now" }, headers);
}
