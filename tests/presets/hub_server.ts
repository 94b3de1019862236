/** HTTP servers on loopback that behave as hubs do, well or badly, for the tests of downloads. */

import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import type { HubSettings } from "../../presets/hub/settings.ts";

/** A request as it came. */
export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

/** A running server. */
export interface Server {
  readonly url: string;
  readonly seen: Seen[];
  close(): Promise<void>;
}

export type Handler = (request: Seen, response: http.ServerResponse) => void;

/** Starts a server; `host` is how it is called. */
export async function serve(handler: Handler, host: "127.0.0.1" | "localhost" = "127.0.0.1"): Promise<Server> {
  const seen: Seen[] = [];
  const server = http.createServer((request, response) => {
    const chunks: Uint8Array[] = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      const one: Seen = {
        method: request.method!,
        path: request.url!,
        headers: request.headers,
        body: new TextDecoder().decode(concat(chunks)),
      };
      seen.push(one);
      handler(one, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  return {
    url: `http://${host}:${(server.address() as AddressInfo).port}`,
    seen,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function concat(chunks: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

/** How content is sent. */
export interface Sending {
  readonly etag?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Whether ranges are honoured; default true. */
  readonly ranges?: boolean;
  /** How many bytes of the body are sent before it goes wrong. */
  readonly until?: number;
  /** What goes wrong then: the connection is cut, nothing more comes, the body ends as if it were whole (without its length said before). */
  readonly then?: "cut" | "stall" | "end";
}

/** Sends content as a file server does, ranges included. */
export function send(request: Seen, response: http.ServerResponse, content: Uint8Array, sending: Sending = {}): void {
  const headers: Record<string, string> = { "accept-ranges": "bytes", ...sending.headers };
  if (sending.etag !== undefined) headers.etag = `"${sending.etag}"`;
  const match = sending.ranges === false ? null : /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
  let body = content;
  let status = 200;
  if (match) {
    const from = Number(match[1]);
    const to = match[2] ? Math.min(Number(match[2]), content.length - 1) : content.length - 1;
    if (from >= content.length) {
      response.writeHead(416, { ...headers, "content-range": `bytes */${content.length}` });
      response.end();
      return;
    }
    body = content.subarray(from, to + 1);
    status = 206;
    headers["content-range"] = `bytes ${from}-${to}/${content.length}`;
  }
  const { until, then } = sending;
  if (then !== "end") headers["content-length"] = String(body.length);
  response.writeHead(status, headers);
  if (until === undefined) response.end(body);
  else if (then === "end") response.end(body.subarray(0, until));
  else {
    response.write(body.subarray(0, until));
    if (then === "cut") setTimeout(() => response.destroy(), 20);
  }
}

/** A JSON answer. */
export function json(response: http.ServerResponse, status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(value));
}

/** Settings that wait for nothing and keep what is printed and how long would have been waited. */
export function quiet(dynamic = false): HubSettings & { readonly printed: string[]; readonly waits: number[] } {
  const printed: string[] = [];
  const waits: number[] = [];
  return {
    printed,
    waits,
    console: { write: (text) => void printed.push(text), dynamic },
    sleep: (milliseconds) => {
      waits.push(milliseconds);
      return Promise.resolve();
    },
  };
}

/** Every variable that the hubs' clients read. */
const VARIABLES = [
  ...[
    "HF_ENDPOINT",
    "HF_HOME",
    "HF_HUB_CACHE",
    "HUGGINGFACE_HUB_CACHE",
    "XDG_CACHE_HOME",
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "HF_TOKEN_PATH",
  ],
  ...["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT", "HOME", "USERPROFILE"],
  ...[
    "KAGGLE_API_ENDPOINT",
    "KAGGLE_API_ENVIRONMENT",
    "KAGGLE_API_TOKEN",
    "KAGGLE_USERNAME",
    "KAGGLE_KEY",
    "KAGGLE_CONFIG_DIR",
    "KAGGLEHUB_CACHE",
  ],
  ...["MODELSCOPE_DOMAIN", "MODELSCOPE_API_TOKEN", "MODELSCOPE_CACHE"],
];

/** An empty home directory and none of the variables but those given; `restore` brings back what was. */
export function environment(): {
  readonly home: string;
  readonly homeBefore: string | undefined;
  set(values: Readonly<Record<string, string>>): void;
  restore(): void;
} {
  const before = VARIABLES.map((name) => [name, process.env[name]] as const);
  const homeBefore = process.env.HOME;
  const home = fs.mkdtempSync(join(tmpdir(), "onnxhub-hub-"));
  for (const name of VARIABLES) delete process.env[name];
  process.env.HOME = home;
  return {
    home,
    homeBefore,
    set: (values) => Object.assign(process.env, values),
    restore() {
      for (const [name, value] of before) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
      fs.rmSync(home, { recursive: true, force: true });
    },
  };
}

/** Content of `length` bytes that repeats nowhere soon. */
export function content(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

/** SHA-256 in hexadecimal. */
export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** The hash that git gives a file. */
export function gitHash(bytes: Uint8Array): string {
  return createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
}

/** The MD5 as Google's storage says it. */
export function googleHash(bytes: Uint8Array): string {
  return `crc32c=AAAAAA==,md5=${createHash("md5").update(bytes).digest("base64")}`;
}

/** The files of a directory with their content, by name with slashes. */
export function filesOf(directory: string): Map<string, Uint8Array> {
  return new Map(
    fs.readdirSync(directory, { recursive: true }).map(String).filter((name) => fs.statSync(join(directory, name)).isFile())
      .map((name) => [name, new Uint8Array(fs.readFileSync(join(directory, name)))] as const),
  );
}

/** Everything under a directory: content of files, targets of links. */
export function tree(directory: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of fs.readdirSync(directory, { recursive: true }).map(String)) {
    const path = join(directory, name);
    const status = fs.lstatSync(path);
    if (status.isSymbolicLink()) found[name] = `-> ${fs.readlinkSync(path)}`;
    else if (status.isFile()) found[name] = fs.readFileSync(path, "utf8");
  }
  return found;
}
