/** Presets on ModelScope, into the cache that its Python client uses too. */

import * as fs from "node:fs";
import { basename, dirname, join } from "node:path";
import { OnnxHubError } from "../../errors.ts";
import type { PresetSource } from "../source.ts";
import { download, incompleteName } from "./download.ts";
import { guarded, statusFailure } from "./failures.ts";
import { ask, reasonOf } from "./http.ts";
import { safeName } from "./names.ts";
import { expandHome, type HubSettings, inHome, variable } from "./settings.ts";

/** A model. */
export interface ModelScopeHandle {
  readonly owner: string;
  readonly model: string;
}

/** What ModelScope says of a file. */
interface ListedFile {
  readonly size: number;
  readonly sha256?: string;
}

const REVISION = "master";
const TIMEOUT_SECONDS = 60;
const MAX_LIST_BYTES = 10_000_000;

/**
 * The files of a model on ModelScope, at its branch `master`. Settings are those of its Python client: `MODELSCOPE_DOMAIN` (with a scheme or
 * without), `MODELSCOPE_API_TOKEN`, `MODELSCOPE_CACHE`. Where it can't be reached, what the cache has is taken, with a warning.
 */
export async function modelScopeSource({ owner, model }: ModelScopeHandle, settings: HubSettings): Promise<PresetSource> {
  const name = `modelscope://${owner}/${model}`;
  return await guarded(name, () => {
    const source = new ModelScopeSource(name, owner, model, settings);
    return {
      name,
      file: (file) => guarded(name, () => source.file(safeName(file, name))),
      list: () => guarded(name, () => source.list()),
    };
  });
}

class ModelScopeSource {
  readonly #address: string;
  readonly #token = variable("MODELSCOPE_API_TOKEN")?.trim();
  readonly #folder: string;
  #files: Promise<ReadonlyMap<string, ListedFile> | null> | undefined;

  constructor(readonly name: string, readonly owner: string, readonly model: string, readonly settings: HubSettings) {
    const domain = (variable("MODELSCOPE_DOMAIN") ?? "www.modelscope.cn").replace(/\/+$/, "");
    this.#address = `${/^https?:\/\//.test(domain) ? domain : `https://${domain}`}/api/v1/models/${owner}/${model}/repo`;
    const cache = expandHome(variable("MODELSCOPE_CACHE") ?? inHome(".cache", "modelscope", "hub"));
    // The client avoids dots in the names of directories.
    this.#folder = join(cache, "models", owner, model.replaceAll(".", "___"));
  }

  async file(file: string): Promise<string | undefined> {
    const files = await (this.#files ??= this.#listed());
    const target = join(this.#folder, file);
    if (files === null) return fs.existsSync(target) ? target : undefined;
    const listed = files.get(file);
    if (listed === undefined) return undefined;
    const note = join(this.#folder, ".onnxhub", `${file}.json`);
    // A file of another day, or of another client that said nothing of what it is, is fetched anew.
    const isThere = () => this.#isCurrent(target, note, listed);
    if (isThere()) return target;
    await download(this.settings, {
      request: {
        name: `${this.name}/${file}`,
        url: `${this.#address}?Revision=${REVISION}&FilePath=${encodeURIComponent(file)}`,
        headers: this.#headers(),
        timeoutSeconds: TIMEOUT_SECONDS,
      },
      label: basename(file),
      target,
      incomplete: incompleteName(listed.sha256 === undefined ? target : join(this.#folder, ".onnxhub", listed.sha256)),
      size: listed.size,
      digest: listed.sha256 === undefined ? undefined : { kind: "sha256", hex: listed.sha256 },
      refused: async (answer) => this.#refusal(answer.status, answer.url, await reasonOf(answer)),
      isThere,
      placed: () => {
        fs.mkdirSync(dirname(note), { recursive: true });
        fs.writeFileSync(note, JSON.stringify({ ...listed, modified: fs.statSync(target).mtimeMs }));
      },
    });
    return target;
  }

  async list(): Promise<string[]> {
    return [...(await (this.#files ??= this.#listed()))?.keys() ?? []].sort();
  }

  #headers(): Record<string, string> {
    return this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}`, cookie: `m_session_id=${this.#token}` };
  }

  /** Whether a file is the listed one and was not touched since it came. */
  #isCurrent(target: string, note: string, listed: ListedFile): boolean {
    if (!fs.existsSync(target) || !fs.existsSync(note)) return false;
    const { size, mtimeMs } = fs.statSync(target);
    let noted: { size?: unknown; sha256?: unknown; modified?: unknown };
    try {
      noted = JSON.parse(fs.readFileSync(note, "utf8"));
    } catch {
      return false;
    }
    return size === listed.size && noted?.sha256 === listed.sha256 && noted.modified === mtimeMs;
  }

  /** All files of the model; null where ModelScope can't be reached and the cache has the model. */
  async #listed(): Promise<ReadonlyMap<string, ListedFile> | null> {
    const cached = fs.existsSync(join(this.#folder, "config.json"));
    const url = `${this.#address}/files?Revision=${REVISION}&Recursive=true`;
    let text: string;
    try {
      const request = { name: this.name, url, headers: this.#headers(), timeoutSeconds: TIMEOUT_SECONDS };
      const answer = await ask(this.settings, request, cached ? 2 : undefined);
      if (answer.status !== 200) throw this.#refusal(answer.status, answer.url, await reasonOf(answer));
      text = await answer.text(MAX_LIST_BYTES);
    } catch (error) {
      const passing = ["preset/connection", "preset/stalled", "preset/unavailable", "preset/rate-limited"];
      if (!cached || !(error instanceof OnnxHubError) || !passing.includes(error.code)) throw error;
      this.settings.console.write(`${error.what}; ${this.name} is taken from the cache.\n`);
      return null;
    }
    const files = parseFiles(text);
    if (files) return files;
    throw new OnnxHubError("preset/http", "This server does not answer as ModelScope does", {
      path: this.name,
      expected: "JSON with Data.Files",
      found: text.slice(0, 100),
      remedy: "Look at MODELSCOPE_DOMAIN.",
    });
  }

  #refusal(status: number, url: string, message: string): OnnxHubError {
    const found = `HTTP ${status}${message ? `: ${message}` : ""}`;
    if (status === 401 || status === 403) {
      const known = this.#token !== undefined;
      return new OnnxHubError(known && status === 401 ? "preset/token" : "preset/gated", "ModelScope does not give access to this model", {
        path: this.name,
        found,
        remedy: known
          ? "Look at MODELSCOPE_API_TOKEN, and at the model's terms."
          : "Set MODELSCOPE_API_TOKEN, and accept the model's terms.",
      });
    }
    if (status === 404) {
      return new OnnxHubError("preset/repository", "ModelScope has no such model", { path: this.name, found, remedy: "Look at its name." });
    }
    return statusFailure(this.name, url, status, message);
  }
}

/** `{"Data": {"Files": [{"Path", "Size", "Sha256", "Type"}]}}`; undefined for anything else. */
function parseFiles(text: string): Map<string, ListedFile> | undefined {
  let json: { Data?: { Files?: unknown } | null } | null;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  const entries = json?.Data?.Files;
  if (!Array.isArray(entries)) return undefined;
  const files = new Map<string, ListedFile>();
  for (const entry of entries as readonly Readonly<Record<string, unknown>>[]) {
    const { Path: path, Size: size, Sha256: sha256, Type: type } = entry ?? {};
    if (type === "tree" || typeof path !== "string" || !Number.isSafeInteger(size)) continue;
    const hashed = typeof sha256 === "string" && /^[0-9a-f]{64}$/.test(sha256);
    files.set(path, { size: size as number, sha256: hashed ? sha256 : undefined });
  }
  return files;
}
