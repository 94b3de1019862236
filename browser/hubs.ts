/** The hubs in a page: there are none. Stands for presets/hub/*.ts, whose caches are folders of a disk. */

import { OnnxHubError } from "../errors.ts";

function refuse(): never {
  throw new OnnxHubError("preset/handle", "A page can't use the hubs' handles", {
    path: "preset",
    remedy: "Give the URL of the folder with the files, such as https://huggingface.co/org/name/resolve/main/, or write them with `files`.",
  });
}

/** Throws "preset/handle". */
export const kaggleSource = refuse;
/** Throws "preset/handle". */
export const huggingFaceSource = refuse;
/** Throws "preset/handle". */
export const modelScopeSource = refuse;
/** What hubs would be reached with. */
export const processSettings: Readonly<Record<string, never>> = {};
