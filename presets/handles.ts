/** What a preset's identifier means: a built-in name, a hub's handle, a directory. */

import { existsSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { nearest, OnnxHubError } from "../errors.ts";
import { recoverDirectory } from "../formats/atomic.ts";
import type { HuggingFaceHandle } from "./hub/huggingface.ts";
import type { KaggleHandle } from "./hub/kaggle.ts";
import type { ModelScopeHandle } from "./hub/modelscope.ts";
import { type HubSettings, processSettings } from "./hub/settings.ts";
import { get, list } from "./registry.ts";
import { shippedSource } from "./shipped.ts";
import { directorySource, type PresetSource } from "./source.ts";

/** The forms that an identifier can have, for messages. */
const FORMS = "a built-in name, kaggle://org/model/framework/variation[/version], hf://org/name[@revision], " +
  "modelscope://org/name, a directory, or its file: URL";

/**
 * The files that an identifier stands for, fetched one by one when they are asked for.
 *
 * A built-in name goes before a directory of that name, as in KerasHub; `./name` is the directory.
 *
 * Throws "preset/identifier" for what is no string, "preset/handle" for a hub's handle that is malformed, "preset/not-found" for what means nothing.
 *
 * @example
 * ```ts
 * import { presets } from "onnxhub";
 * const source = await presets.openPreset("tests/fixtures/kerashub/xlm_roberta_tiny");
 * console.log(await source.file("config.json"));
 * ```
 */
export async function openPreset(identifier: string, settings: HubSettings = processSettings): Promise<PresetSource> {
  if (typeof identifier !== "string") {
    throw new OnnxHubError("preset/identifier", "A preset identifier must be a string", { path: "preset", found: typeof identifier });
  }
  const handle = get(identifier)?.handle ?? identifier;
  const [, scheme, rest] = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/(.*)$/s.exec(handle) ?? [];
  switch (scheme?.toLowerCase()) {
    case "kaggle": {
      const { kaggleSource } = await import("./hub/kaggle.ts");
      return await kaggleSource(parseKaggle(handle, rest), settings);
    }
    case "hf": {
      const { huggingFaceSource } = await import("./hub/huggingface.ts");
      return await huggingFaceSource(parseHuggingFace(handle, rest), settings);
    }
    case "modelscope": {
      const { modelScopeSource } = await import("./hub/modelscope.ts");
      return await modelScopeSource(parseModelScope(handle, rest), settings);
    }
    case "http":
    case "https":
      return (await import("./web.ts")).webSource(handle);
    case "package":
      return shippedSource(rest);
    case undefined:
    case "file":
      return openDirectory(identifier, handle.startsWith("file:") ? directoryOfUrl(handle) : handle);
  }
  throw unknown(identifier, `the scheme ${scheme}`);
}

function openDirectory(identifier: string, path: string): PresetSource {
  recoverDirectory(path);
  if (existsSync(path)) {
    if (statSync(path).isDirectory()) return directorySource(path);
    throw unknown(identifier, "a file");
  }
  throw unknown(identifier, "nothing there");
}

function directoryOfUrl(url: string): string {
  try {
    return fileURLToPath(url);
  } catch (cause) {
    throw new OnnxHubError("preset/handle", "This is no URL of a local directory", {
      path: url,
      expected: "file:///path",
      found: JSON.stringify(url),
      cause,
    });
  }
}

function unknown(identifier: string, found: string): OnnxHubError {
  const guess = nearest(identifier, list().map(({ name }) => name));
  return new OnnxHubError("preset/not-found", "Unknown preset identifier", {
    path: identifier,
    expected: FORMS,
    found,
    remedy: guess ? `Did you mean \`${guess}\`? \`presets.list()\` has all built-in names.` : "`presets.list()` has all built-in names.",
  });
}

function malformed(what: string, handle: string, expected: string, example: string): OnnxHubError {
  return new OnnxHubError("preset/handle", `Unexpected ${what} preset`, {
    path: "preset",
    expected: `the form ${expected}`,
    found: JSON.stringify(handle),
    remedy: `For example \`${example}\`.`,
  });
}

const SEGMENT = /^[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?$/;

function isSegment(text: string): boolean {
  return SEGMENT.test(text) && !text.includes("..");
}

function parseKaggle(handle: string, rest: string): KaggleHandle {
  const parts = rest.split("/");
  const [owner, model, framework, variation, version] = parts;
  const right = (parts.length === 4 || parts.length === 5) && parts.every(isSegment) &&
    (version === undefined || /^[1-9][0-9]{0,8}$/.test(version));
  if (!right) {
    throw malformed(
      "Kaggle",
      handle,
      "kaggle://{org}/{model}/{framework}/{variation}[/{version}]",
      "kaggle://username/model/keras/my_preset/1",
    );
  }
  return { owner, model, framework, variation, version: version === undefined ? undefined : Number(version) };
}

function parseHuggingFace(handle: string, rest: string): HuggingFaceHandle {
  const at = rest.indexOf("@");
  const repository = at < 0 ? rest : rest.slice(0, at);
  const revision = at < 0 ? undefined : rest.slice(at + 1);
  const parts = repository.split("/");
  const right = parts.length <= 2 && parts.every(isSegment) && !repository.includes("--") && !repository.endsWith(".git") &&
    (revision === undefined || revision.split("/").every(isSegment));
  if (!right) throw malformed("Hugging Face", handle, "hf://{org}/{model}[@{revision}]", "hf://username/my_preset");
  return { repository, revision };
}

function parseModelScope(handle: string, rest: string): ModelScopeHandle {
  const parts = rest.split("/");
  if (parts.length !== 2 || !parts.every(isSegment)) {
    throw malformed("ModelScope", handle, "modelscope://{org}/{model}", "modelscope://username/my_preset");
  }
  return { owner: parts[0], model: parts[1] };
}
