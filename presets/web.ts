/** Presets by URL, for pages: the browser's bundle has another file in place of this one. */

import { OnnxHubError } from "../errors.ts";
import type { PresetSource } from "./source.ts";

/** The files of the folder at a URL. Throws "preset/handle" outside pages: what is downloaded elsewhere is kept, and by a URL it could not be kept up to date. */
export function webSource(url: string): PresetSource {
  throw new OnnxHubError("preset/handle", "Presets are loaded by their URL in pages alone", {
    path: "preset",
    found: url,
    remedy: "Use the hub's handle, such as hf://org/name, or download the folder and give its path.",
  });
}
