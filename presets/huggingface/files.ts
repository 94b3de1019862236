/** The files of a Hugging Face checkpoint: their names, and saving a directory of them whole or not at all. */

import { OnnxHubError } from "../../errors.ts";
import { writeDirectoryAtomic } from "../../formats/atomic.ts";

/** The files of a checkpoint. */
export const CHECKPOINT_FILES = {
  config: "config.json",
  weights: "model.safetensors",
  index: "model.safetensors.index.json",
} as const;

/** What a shard may be called: a plain name beside the index, as nothing else of the machine may be opened by a downloaded file. */
export const SHARD_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]*\.safetensors$/;

/** Files that only pickle or another framework reads, with weights in them. */
const UNREADABLE = /^(pytorch_model.*\.bin|pytorch_model.*\.index\.json|tf_model.*\.h5|flax_model.*\.msgpack|model.*\.ckpt.*|.*\.gguf)$/;

/** The name of shard `number` (from 1 on) of `count`. */
export function shardName(number: number, count: number): string {
  const five = (n: number): string => String(n).padStart(5, "0");
  return `model-${five(number)}-of-${five(count)}.safetensors`;
}

/** The error for a checkpoint without weights that can be read. */
export function noWeights(where: string, names: readonly string[]): OnnxHubError {
  const other = names.filter((name) => UNREADABLE.test(name));
  return new OnnxHubError(
    "preset/no-weights",
    other.length > 0 ? "The weights are in a format that isn't read" : "The preset has no weights",
    {
      path: where,
      expected: `${CHECKPOINT_FILES.weights} or ${CHECKPOINT_FILES.index}`,
      found: (other.length > 0 ? other : names).slice(0, 10).join(", ") || "nothing",
      remedy: other.length > 0
        ? "Convert them with transformers: `model.save_pretrained(directory, safe_serialization=True)`."
        : "Pass `loadWeights: false` for fresh ones.",
    },
  );
}

/** Files that a preset of KerasHub has and a checkpoint doesn't. */
const KERASHUB = /^(model\.weights\.h5|model\.weights\.json|task\.json|task\.weights\.h5|preprocessor\.json|metadata\.json)$/;

/**
 * Saves a checkpoint: `build` writes its files into the directory it is given, which then takes the place of `path` as a whole. Other files that are
 * there stay, but for the weights that the new ones replace.
 *
 * Throws "format/directory-foreign" for a directory with files in it of which none is a checkpoint's, or which is a preset of KerasHub's, and
 * what `writeDirectoryAtomic` throws.
 */
export function saveCheckpointDirectory(path: string, build: (temporary: string) => void | Promise<void>): Promise<void> {
  return writeDirectoryAtomic(path, build, {
    accept: (names) => names.includes(CHECKPOINT_FILES.config) && !names.some((name) => KERASHUB.test(name)),
    obsolete: (name) => /^model(-[0-9]{5}-of-[0-9]{5})?\.safetensors$/.test(name) || name === CHECKPOINT_FILES.index,
  });
}
