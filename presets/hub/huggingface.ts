/** Presets on the Hugging Face Hub, through `@huggingface/hub` and into the cache that Python's client uses too. */

import * as fs from "node:fs";
import { basename, join } from "node:path";
import { OnnxHubError } from "../../errors.ts";
import type { PresetSource } from "../source.ts";
import { digestOfEtag } from "./digest.ts";
import { download, incompleteName } from "./download.ts";
import { guarded, statusFailure } from "./failures.ts";
import { type Answer, type Ask, ask, reasonOf } from "./http.ts";
import { huggingFaceCache, huggingFaceHome, isCommit, RepositoryCache } from "./huggingface_cache.ts";
import { inUrl, safeName } from "./names.ts";
import { expandHome, type HubSettings, isSet, seconds, variable } from "./settings.ts";

type HubLibrary = typeof import("@huggingface/hub");

/** A repository at a revision. */
export interface HuggingFaceHandle {
  /** `org/name`, or a name alone. */
  readonly repository: string;
  /** A branch, tag or commit; default `main`. */
  readonly revision?: string;
}

/** What the Hub says of a file. */
interface FileInfo {
  readonly etag: string;
  readonly size: number;
  readonly url: string;
  readonly commit: string;
}

/**
 * The files of a repository on the Hub. Settings are those of Python's client: `HF_ENDPOINT`, `HF_TOKEN`, `HF_TOKEN_PATH`, `HF_HOME`,
 * `HF_HUB_CACHE`, `HF_HUB_OFFLINE`, `TRANSFORMERS_OFFLINE`, `HF_HUB_ETAG_TIMEOUT`, `HF_HUB_DOWNLOAD_TIMEOUT`, `HF_HUB_DISABLE_PROGRESS_BARS`.
 *
 * All files are of one commit: the one that the revision was at when the first was asked for. Where the Hub can't be asked, the last
 * commit in the cache is taken, with a warning.
 */
export async function huggingFaceSource(handle: HuggingFaceHandle, settings: HubSettings): Promise<PresetSource> {
  const { repository, revision } = handle;
  const name = `hf://${repository}${revision === undefined ? "" : `@${revision}`}`;
  return await guarded(name, async () => {
    const library = await import("@huggingface/hub");
    const source = new HuggingFaceSource(name, repository, revision ?? "main", settings, library);
    return {
      name,
      file: (file) => guarded(name, () => source.file(safeName(file, name))),
      list: () => guarded(name, () => source.list()),
    };
  });
}

class HuggingFaceSource {
  readonly #endpoint = (variable("HF_ENDPOINT") ?? "https://huggingface.co").replace(/\/+$/, "");
  readonly #token = token();
  readonly #offline = isSet("HF_HUB_OFFLINE") || isSet("TRANSFORMERS_OFFLINE");
  readonly #cache: RepositoryCache;
  /** The commit that all files are taken from, once it is known. */
  #commit: string | undefined;
  /** Why the cache alone is used. */
  #cutOff: OnnxHubError | undefined;

  constructor(
    readonly name: string,
    readonly repository: string,
    readonly revision: string,
    readonly settings: HubSettings,
    readonly library: HubLibrary,
  ) {
    this.#cache = new RepositoryCache(join(huggingFaceCache(), library.getRepoFolderName({ type: "model", name: repository })));
    if (isCommit(revision)) this.#commit = revision;
    if (this.#offline) {
      this.#commit ??= this.#cache.commitOf(revision);
      this.#cutOff = new OnnxHubError("preset/offline", "Offline mode is on, and the cache does not have this preset", {
        path: name,
        found: this.#cache.folder,
        remedy: "Load it once without HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE.",
      });
    }
  }

  async file(file: string): Promise<string | undefined> {
    const cache = this.#cache;
    if (this.#commit !== undefined) {
      const found = cache.find(this.#commit, file);
      if (found !== undefined || cache.lacks(this.#commit, file)) return found;
    }
    if (this.#cutOff) return this.#unfetched(file, this.#cutOff);
    let info: FileInfo | null;
    try {
      info = await this.#describe(file);
    } catch (error) {
      return this.#fallBack(file, error);
    }
    if (info === null) return undefined;
    const blob = cache.blob(info.etag);
    await download(this.settings, {
      request: {
        name: `${this.name}/${file}`,
        url: info.url,
        headers: this.#headers(),
        timeoutSeconds: seconds("HF_HUB_DOWNLOAD_TIMEOUT", 10),
      },
      label: isSet("HF_HUB_DISABLE_PROGRESS_BARS") ? undefined : basename(file),
      target: blob,
      incomplete: incompleteName(blob),
      size: info.size,
      digest: digestOfEtag(info.etag),
      refused: async (answer) => this.#refusal(answer, await reasonOf(answer)),
    });
    return cache.link(info.commit, file, blob);
  }

  list(): string[] {
    return this.#commit === undefined ? [] : this.#cache.list(this.#commit);
  }

  #headers(): Record<string, string> {
    return this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` };
  }

  /** What the Hub says of a file; null where the repository has none, which is noted. */
  async #describe(file: string): Promise<FileInfo | null> {
    const revision = this.#commit ?? this.revision;
    let commit: string | undefined;
    const request = {
      name: `${this.name}/${file}`,
      headers: this.#headers(),
      timeoutSeconds: seconds("HF_HUB_ETAG_TIMEOUT", 10),
      // What is at another host is the file's content, not what the Hub says of it.
      elsewhere: false,
    };
    // The library asks for the first byte, follows to wherever the content is and takes that host's headers for the Hub's; through this it sees the
    // Hub's own answer.
    const throughUs = async (url: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
      const range = new Headers(init.headers).get("range") ?? "bytes=0-0";
      const asked: Ask = { ...request, url: String(url), headers: { ...request.headers, range } };
      const answer = await ask(this.settings, asked, this.#isCached(file) ? 2 : undefined);
      commit = answer.headers.get("x-repo-commit") ?? undefined;
      return await this.#hubAnswer(answer);
    };
    const info = await this.library.fileDownloadInfo({
      repo: { type: "model", name: this.repository },
      path: inUrl(file),
      revision,
      hubUrl: this.#endpoint,
      fetch: throughUs as typeof fetch,
    });
    if (commit === undefined || !isCommit(commit)) {
      if (info !== null) throw this.#notTheHub("X-Repo-Commit");
      return null;
    }
    this.#commit ??= commit;
    this.#cache.setCommit(this.revision, commit);
    if (info === null) {
      this.#cache.setLacking(commit, file);
      return null;
    }
    const url = `${this.#endpoint}/${this.repository}/resolve/${commit}/${inUrl(file)}`;
    return { etag: info.etag.replace(/^W\//, "").replaceAll('"', ""), size: info.size, url, commit };
  }

  /** The Hub's answer in the form that the library reads; what is refused is thrown. */
  async #hubAnswer(answer: Answer): Promise<Response> {
    const { status, headers } = answer;
    if (status === 404 && headers.get("x-error-code") === "EntryNotFound") {
      answer.close();
      return new Response(null, { status, headers: { "x-error-code": "EntryNotFound" } });
    }
    if (status >= 400 && status !== 416) throw this.#refusal(answer, await reasonOf(answer));
    answer.close();
    const etag = headers.get("x-linked-etag") ?? headers.get("etag");
    const size = headers.get("x-linked-size") ?? headers.get("content-range")?.split("/")[1] ??
      (status === 200 ? headers.get("content-length") : null);
    if (etag === null) throw this.#notTheHub("ETag");
    if (size === null || !/^\d+$/.test(size)) throw this.#notTheHub("X-Linked-Size");
    return new Response(null, { status: 200, headers: { etag, "content-range": `bytes 0-0/${size}` } });
  }

  #notTheHub(header: string): OnnxHubError {
    return new OnnxHubError("preset/http", "This server does not answer as the Hugging Face Hub does", {
      path: this.name,
      expected: `the header ${header}`,
      found: this.#endpoint,
      remedy: "Look at HF_ENDPOINT.",
    });
  }

  #isCached(file: string): boolean {
    const commit = this.#cache.commitOf(this.revision);
    return commit !== undefined && this.#cache.find(commit, file) !== undefined;
  }

  /** The last commit in the cache, where the Hub can't be asked or refuses. */
  #fallBack(file: string, error: unknown): string {
    const commit = this.#commit ?? this.#cache.commitOf(this.revision);
    const found = commit === undefined ? undefined : this.#cache.find(commit, file);
    const passing = ["preset/connection", "preset/stalled", "preset/unavailable", "preset/rate-limited"];
    if (found === undefined || !(error instanceof OnnxHubError) || !passing.includes(error.code)) throw error;
    this.#commit = commit;
    this.#cutOff = error;
    this.settings.console.write(`${error.what}; ${this.name} is taken from the cache.\n`);
    return found;
  }

  /** A file that is not in the cache, with no way to ask for it: one that the preset does not have, as far as can be said, if the preset is there. */
  #unfetched(file: string, reason: OnnxHubError): undefined {
    if (this.#commit === undefined || this.#cache.find(this.#commit, "config.json") === undefined || file === "config.json") throw reason;
    this.settings.console.write(`${this.name} is taken from the cache, which has no ${file}.\n`);
    return undefined;
  }

  /** What a refusal means: https://huggingface.co/docs/hub/api has the codes. */
  #refusal({ status, headers, url }: Answer, message: string): OnnxHubError {
    const { name, repository } = this;
    const code = headers.get("x-error-code");
    const found = `HTTP ${status}${message ? `: ${message}` : ""}`;
    const page = `${this.#endpoint}/${repository}`;
    // Another host's refusal, of content, says nothing of the repository.
    if (new URL(url).host !== new URL(this.#endpoint).host) return statusFailure(name, url, status, message);
    if (code === "GatedRepo") {
      return new OnnxHubError("preset/gated", "This repository is gated", {
        path: name,
        found,
        remedy: this.#token === undefined
          ? `Accept its terms at ${page}, and set HF_TOKEN to a token of your account.`
          : `Accept its terms at ${page} with the account of your token.`,
      });
    }
    if (code === "RevisionNotFound") {
      return new OnnxHubError("preset/revision", "The repository has no such revision", { path: name, found: this.revision });
    }
    if (status === 401 && this.#token !== undefined && code !== "RepoNotFound") {
      return new OnnxHubError("preset/token", "The Hub does not accept the token", {
        path: name,
        found,
        remedy: "Renew it: HF_TOKEN, or the file at HF_TOKEN_PATH.",
      });
    }
    if (code === "RepoNotFound" || status === 401 || (status === 404 && code === null)) {
      return new OnnxHubError("preset/repository", "The Hub has no such repository, or it is private", {
        path: name,
        found,
        remedy: this.#token === undefined
          ? "Look at its name; for a private one set HF_TOKEN."
          : "Look at its name, and at what the token may read.",
      });
    }
    return statusFailure(name, url, status, message);
  }
}

/** The token: `HF_TOKEN`, its older name, or what `hf auth login` wrote. */
function token(): string | undefined {
  const given = variable("HF_TOKEN") ?? variable("HUGGING_FACE_HUB_TOKEN");
  if (given !== undefined) return given.trim();
  const path = expandHome(variable("HF_TOKEN_PATH") ?? join(huggingFaceHome(), "token"));
  return fs.existsSync(path) ? fs.readFileSync(path, "utf8").trim() || undefined : undefined;
}
