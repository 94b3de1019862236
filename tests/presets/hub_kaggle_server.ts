/** A server that behaves as Kaggle does, by calls or by paths, with files at Google's storage. */

import type { ServerResponse } from "node:http";
import { deflateRawSync } from "node:zlib";
import { crc32 } from "../../presets/hub/zip.ts";
import { googleHash, json, type Seen, send, serve, type Server } from "./hub_server.ts";

/** A model: files by version, the last is the newest. */
export interface KaggleModel {
  readonly versions: readonly ReadonlyMap<string, Uint8Array>[];
  readonly gated?: boolean;
  /** Files that Kaggle compressed on its own account. */
  readonly zipped?: readonly string[];
}

/** A running Kaggle. */
export interface Kaggle {
  readonly api: Server;
  readonly store: Server;
  /** What the next requests get instead; null is the usual. */
  readonly apiTricks: (((request: Seen, response: ServerResponse) => void) | null)[];
  readonly storeTricks: (((request: Seen, response: ServerResponse, content: Uint8Array) => void) | null)[];
  /** Which interfaces it has. */
  generation: "calls" | "paths";
  close(): Promise<void>;
}

/** The credentials that it knows. */
export const BEARER = "Bearer right";
export const BASIC = `Basic ${btoa("ann:key")}`;

/** Starts a Kaggle with models by `owner/model/framework/variation`. */
export async function serveKaggle(models: Readonly<Record<string, KaggleModel>>): Promise<Kaggle> {
  const stored = new Map<string, Uint8Array>();
  const kaggle: { -readonly [K in keyof Kaggle]?: Kaggle[K] } = { apiTricks: [], storeTricks: [], generation: "calls" };
  kaggle.store = await serve((request, response) => {
    const found = stored.get(decodeURIComponent(request.path.split("?")[0]));
    if (!found) return void response.writeHead(404).end();
    const trick = kaggle.storeTricks!.shift();
    if (trick) trick(request, response, found);
    else send(request, response, found, { headers: { "x-goog-hash": googleHash(found) } });
  }, "localhost");
  const api = (response: ServerResponse, authorization: string | undefined, name: string, version?: number, file?: string): void => {
    const model = models[name];
    if (authorization !== undefined && authorization !== BEARER && authorization !== BASIC) {
      return json(response, 401, { code: 401, message: "Unauthenticated" });
    }
    if (!model) return json(response, 404, { code: 404, message: "Not found" });
    if (model.gated) return json(response, 403, { code: 403, message: "Permission 'models.get' was denied" });
    if (version === undefined) return json(response, 200, { versionNumber: model.versions.length });
    const bytes = model.versions[version - 1]?.get(file!);
    if (!bytes) return json(response, 404, { code: 404, message: "Not found" });
    const zipped = model.zipped?.includes(file!);
    const path = `/bucket/${name}/${version}/${file}${zipped ? ".zip" : ""}`;
    stored.set(path, zipped ? zip(file!.split("/").at(-1)!, bytes) : bytes);
    response.writeHead(302, { location: `${kaggle.store!.url}${encodeURI(path)}?X-Goog-Signature=abc` });
    response.end();
  };
  kaggle.api = await serve((request, response) => {
    const trick = kaggle.apiTricks!.shift();
    if (trick) return trick(request, response);
    const { authorization } = request.headers;
    const call = /^\/api\/v1\/models\.ModelApiService\/(\w+)$/.exec(request.path)?.[1];
    if (kaggle.generation === "calls" && call && request.method === "POST") {
      const { ownerSlug, modelSlug, framework, instanceSlug, versionNumber, path } = JSON.parse(request.body);
      const name = `${ownerSlug}/${modelSlug}/${framework.replace("MODEL_FRAMEWORK_", "").toLowerCase()}/${instanceSlug}`;
      return api(response, authorization, name, versionNumber, path);
    }
    const get = /^\/api\/v1\/models\/([^/]+\/[^/]+\/[^/]+\/[^/]+)\/get$/.exec(request.path);
    const file = /^\/api\/v1\/models\/([^/]+\/[^/]+\/[^/]+\/[^/]+)\/(\d+)\/download\/(.+)$/.exec(request.path);
    if (kaggle.generation === "paths" && get) return api(response, authorization, get[1]);
    if (kaggle.generation === "paths" && file) return api(response, authorization, file[1], Number(file[2]), decodeURIComponent(file[3]));
    response.writeHead(404, { "content-type": "text/html" });
    response.end("<html>no such page</html>");
  });
  kaggle.close = async () => {
    await kaggle.api!.close();
    await kaggle.store!.close();
  };
  return kaggle as Kaggle;
}

/** What of an archive is to be wrong. */
export interface ZipChanges {
  readonly size?: number;
  readonly crc?: number;
  readonly flags?: number;
  readonly method?: number;
  readonly count?: number;
  readonly offset?: number;
}

/** An archive with one file. */
export function zip(name: string, bytes: Uint8Array, changes: ZipChanges = {}): Uint8Array {
  const path = new TextEncoder().encode(name);
  const body = new Uint8Array(changes.method === 0 ? bytes : deflateRawSync(bytes));
  const { size = bytes.length, crc = crc32(bytes), flags = 0, method = 8, count = 1, offset = 0 } = changes;
  const local = new DataView(new ArrayBuffer(30));
  const entry = new DataView(new ArrayBuffer(46));
  const end = new DataView(new ArrayBuffer(22));
  local.setUint32(0, 0x04034b50, true);
  entry.setUint32(0, 0x02014b50, true);
  for (const [view, at] of [[local, 6], [entry, 8]] as const) {
    view.setUint16(at, flags, true);
    view.setUint16(at + 2, method, true);
    view.setUint32(at + 8, crc, true);
    view.setUint32(at + 12, body.length, true);
    view.setUint32(at + 16, size, true);
    view.setUint16(at + 20, path.length, true);
  }
  entry.setUint32(42, offset, true);
  end.setUint32(0, 0x06054b50, true);
  end.setUint16(8, count, true);
  end.setUint16(10, count, true);
  end.setUint32(12, 46 + path.length, true);
  end.setUint32(16, 30 + path.length + body.length, true);
  const parts = [local, path, body, entry, path, end].map((part) => part instanceof DataView ? new Uint8Array(part.buffer) : part);
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
