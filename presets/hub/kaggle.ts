/** Presets on Kaggle, by either generation of its interface, into the cache that Python's kagglehub uses too. */

import * as fs from "node:fs";
import { basename, dirname, join } from "node:path";
import { OnnxHubError } from "../../errors.ts";
import type { PresetSource } from "../source.ts";
import { digestOfGoogle } from "./digest.ts";
import { type Download, download, incompleteName } from "./download.ts";
import { guarded, statusFailure } from "./failures.ts";
import { type Answer, type Ask, ask, reasonOf } from "./http.ts";
import { kaggleAddresses, kaggleAuthorization, kaggleCache } from "./kaggle_settings.ts";
import { inUrl, safeName } from "./names.ts";
import type { HubSettings } from "./settings.ts";
import { extractOnly, isZip } from "./zip.ts";

/** A variation of a model. */
export interface KaggleHandle {
  readonly owner: string;
  readonly model: string;
  /** `keras`, `transformers`, … */
  readonly framework: string;
  readonly variation: string;
  /** Default the newest. */
  readonly version?: number;
}

/** As Kaggle's Python client: between bytes. */
const TIMEOUT_SECONDS = 15;
const SERVICE = "models.ModelApiService";
/** How calls name the frameworks whose names they don't just put in capitals. */
const FRAMEWORKS: Readonly<Record<string, string>> = {
  pytorch: "PY_TORCH",
  tensorflow1: "TENSOR_FLOW_1",
  tensorflow2: "TENSOR_FLOW_2",
  tfjs: "TF_JS",
  tflite: "TF_LITE",
};

/**
 * The files of a model's variation on Kaggle. Settings are those of Python's client: `KAGGLE_API_TOKEN`, `KAGGLE_USERNAME`, `KAGGLE_KEY`,
 * `KAGGLE_CONFIG_DIR`, `KAGGLE_API_ENDPOINT`, `KAGGLE_API_ENVIRONMENT`, `KAGGLEHUB_CACHE`. Calls by name are tried first; where the server
 * does not know them, the older paths are taken.
 */
export async function kaggleSource(handle: KaggleHandle, settings: HubSettings): Promise<PresetSource> {
  const { owner, model, framework, variation, version } = handle;
  const name = `kaggle://${[owner, model, framework, variation, ...(version === undefined ? [] : [version])].join("/")}`;
  return await guarded(name, () => {
    const source = new KaggleSource(name, handle, settings);
    return {
      name,
      file: (file) => guarded(name, () => source.file(safeName(file, name))),
      list: () => guarded(name, () => source.list()),
    };
  });
}

class KaggleSource {
  readonly #addresses = kaggleAddresses();
  readonly #authorization = kaggleAuthorization();
  /** The variation's directory in the cache. */
  readonly #folder: string;
  #version: number | undefined;
  /** Whether the older paths are taken. */
  #old = false;
  /** Whether the server said that the model is there. */
  #seen = false;

  constructor(readonly name: string, readonly handle: KaggleHandle, readonly settings: HubSettings) {
    const { owner, model, framework, variation, version } = handle;
    this.#folder = join(kaggleCache(), owner, model, framework, variation);
    this.#version = version;
  }

  async file(file: string): Promise<string | undefined> {
    const version = this.#version ??= await this.#newest();
    const target = join(this.#folder, String(version), file);
    const marker = join(this.#folder, ".complete", String(version), `${file}.complete`);
    const missing = join(this.#folder, ".complete", String(version), `${file}.missing`);
    // Without its marker a file may be a part that another client left.
    const isThere = () => fs.existsSync(target) && (fs.existsSync(marker) || fs.existsSync(join(this.#folder, `${version}.complete`)));
    if (isThere()) return target;
    if (fs.existsSync(missing)) return undefined;
    const there = await this.#download(file, target, version, { isThere, placed: () => note(marker) });
    if (!there) note(missing);
    return there ? target : undefined;
  }

  list(): string[] {
    const folder = join(this.#folder, String(this.#version));
    if (!fs.existsSync(folder)) return [];
    const names = fs.readdirSync(folder, { recursive: true }).map(String);
    return names.filter((name) => !/\.onnxhub\.incomplete/.test(name) && fs.statSync(join(folder, name)).isFile()).sort();
  }

  async #download(
    file: string,
    target: string,
    version: number,
    marks: Required<Pick<Download, "isThere" | "placed">>,
  ): Promise<boolean> {
    const { owner, model, framework, variation } = this.handle;
    const old = `models/${inUrl(owner)}/${inUrl(model)}/${inUrl(framework)}/${inUrl(variation)}/${version}/download/${inUrl(file)}`;
    let unknownCall = false;
    const there = await download(this.settings, {
      request: this.#request(`${this.name}/${file}`, "DownloadModelInstanceVersion", { versionNumber: version, path: file }, old),
      label: basename(file),
      target,
      ...marks,
      incomplete: incompleteName(target),
      digestOf: ({ headers }) => digestOfGoogle(headers),
      refused: async (answer) => {
        if (!this.#old && isUnknownCall(answer)) {
          answer.close();
          unknownCall = true;
          return null;
        }
        const { status, url } = answer;
        const message = await reasonOf(answer);
        if (status === 404) return null;
        return this.#isKaggle(url) ? this.#refusal(status, url, message) : statusFailure(this.name, url, status, message);
      },
      unpack: async (incomplete, answer) => {
        const sent = answer ? decodeURIComponent(basename(new URL(answer.url).pathname)) : "";
        if (sent !== `${basename(file)}.zip` || !isZip(incomplete)) return incomplete;
        const unpacked = `${incomplete}.unpacked`;
        try {
          await extractOnly(incomplete, basename(file), unpacked);
        } catch (error) {
          fs.rmSync(unpacked, { force: true });
          fs.rmSync(incomplete, { force: true });
          throw error;
        }
        return unpacked;
      },
    });
    if (there) this.#seen = true;
    if (unknownCall) {
      this.#old = true;
      return await this.#download(file, target, version, marks);
    }
    if (!there && !this.#seen) {
      // Kaggle tells a file that is missing from a model that is missing only by asking for the model.
      const newest = await this.#newest();
      if (version > newest) {
        throw new OnnxHubError("preset/revision", "The model has no such version", {
          path: this.name,
          expected: `1 to ${newest}`,
          found: String(version),
        });
      }
    }
    return there;
  }

  /** The number of the newest version; where Kaggle can't be reached, of the newest in the cache. */
  async #newest(): Promise<number> {
    const { owner, model, framework, variation } = this.handle;
    const old = `models/${inUrl(owner)}/${inUrl(model)}/${inUrl(framework)}/${inUrl(variation)}/get`;
    const cached = this.#newestInCache();
    let answer: Answer;
    try {
      answer = await ask(this.settings, this.#request(this.name, "GetModelInstance", {}, old), cached === undefined ? undefined : 2);
    } catch (error) {
      const passing = ["preset/connection", "preset/stalled", "preset/unavailable", "preset/rate-limited"];
      if (cached === undefined || !(error instanceof OnnxHubError) || !passing.includes(error.code)) throw error;
      this.settings.console.write(`${error.what}; ${this.name} is taken from the cache, version ${cached}.\n`);
      return cached;
    }
    if (!this.#old && isUnknownCall(answer)) {
      answer.close();
      this.#old = true;
      return await this.#newest();
    }
    const { status, url } = answer;
    if (status !== 200) throw this.#refusal(status, url, await reasonOf(answer));
    const text = await answer.text(10_000_000);
    let version: unknown;
    try {
      const { versionNumber, code, message } = JSON.parse(text);
      // Some refusals come with HTTP 200.
      if (code >= 400) throw this.#refusal(code, url, String(message ?? ""));
      version = versionNumber;
    } catch (error) {
      if (error instanceof OnnxHubError) throw error;
      // What is no JSON is said below.
    }
    if (!Number.isInteger(version) || (version as number) < 1) {
      throw new OnnxHubError("preset/http", "This server does not answer as Kaggle does", {
        path: this.name,
        expected: "JSON with a versionNumber",
        found: text.slice(0, 100),
        remedy: "Look at KAGGLE_API_ENDPOINT.",
      });
    }
    this.#seen = true;
    return version as number;
  }

  #newestInCache(): number | undefined {
    if (!fs.existsSync(this.#folder)) return undefined;
    const versions = fs.readdirSync(this.#folder).filter((name) => /^[0-9]+$/.test(name)).map(Number);
    return versions.length === 0 ? undefined : Math.max(...versions);
  }

  /** A call by name, or the older path that does the same. */
  #request(name: string, call: string, body: Readonly<Record<string, string | number>>, path: string): Ask {
    const headers: Record<string, string> = this.#authorization === undefined ? {} : { authorization: this.#authorization };
    const timeoutSeconds = TIMEOUT_SECONDS;
    if (this.#old) return { name, url: `${this.#addresses.paths}/${path}`, headers, timeoutSeconds };
    const { owner, model, framework, variation } = this.handle;
    return {
      name,
      url: `${this.#addresses.calls}/${SERVICE}/${call}`,
      method: "POST",
      headers: { ...headers, "content-type": "application/json" },
      body: JSON.stringify({
        ownerSlug: owner,
        modelSlug: model,
        framework: `MODEL_FRAMEWORK_${FRAMEWORKS[framework.toLowerCase()] ?? framework.toUpperCase()}`,
        instanceSlug: variation,
        ...body,
      }),
      timeoutSeconds,
    };
  }

  #isKaggle(url: string): boolean {
    const { calls, paths } = this.#addresses;
    return [calls, paths].some((address) => new URL(address).host === new URL(url).host);
  }

  #refusal(status: number, url: string, message: string): OnnxHubError {
    const { owner, model } = this.handle;
    const page = `${this.#addresses.pages}/models/${owner}/${model}`;
    const found = `HTTP ${status}${message ? `: ${message}` : ""}`;
    const known = this.#authorization !== undefined;
    if (status === 401 && known) {
      return new OnnxHubError("preset/token", "Kaggle does not accept the credentials", {
        path: this.name,
        found,
        remedy: "Renew them: KAGGLE_API_TOKEN, KAGGLE_USERNAME and KAGGLE_KEY, or ~/.kaggle.",
      });
    }
    if (status === 401 || status === 403) {
      return new OnnxHubError("preset/gated", "This model is not accessible: it is gated, private, or not there", {
        path: this.name,
        found,
        remedy: known
          ? `Accept its terms at ${page}, and look at its name.`
          : `Accept its terms at ${page}, and set KAGGLE_API_TOKEN, or KAGGLE_USERNAME and KAGGLE_KEY.`,
      });
    }
    if (status === 404) {
      return new OnnxHubError("preset/repository", "Kaggle has no such model", { path: this.name, found, remedy: "Look at its name." });
    }
    return statusFailure(this.name, url, status, message);
  }
}

/** Leaves an empty file. */
function note(path: string): void {
  fs.mkdirSync(dirname(path), { recursive: true });
  fs.writeFileSync(path, "");
}

/** Whether a server does not know calls by name: it has no such page, and does not say so in the form of a call's answer. */
function isUnknownCall({ status, headers }: Answer): boolean {
  return status === 405 || status === 501 || (status === 404 && !/json/.test(headers.get("content-type") ?? ""));
}
