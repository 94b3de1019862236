/** Presets: what is built in, and where the files of any preset are. */

export { type BuiltInPreset, get, list, type PresetFilter } from "./registry.ts";
export { openPreset } from "./handles.ts";
export type { PresetSource } from "./source.ts";
export type { HubConsole, HubSettings } from "./hub/settings.ts";
