/** The command `summary`: Keras' summary of a preset's model. */

import { command, PRESET } from "./command.ts";
import { openModel, taskOption } from "./preset_model.ts";

/** The command. */
export const summarize = command({
  name: "summary",
  about: "Prints Keras' summary of a preset's model",
  details: ["The weights aren't read; of a preset on a hub they aren't downloaded."],
  permissions: "--allow-read=DIR",
  example: "DIR --task masked_lm",
  positionals: PRESET,
  options: { task: taskOption },
  async run([preset], { task }, console) {
    const model = await openModel(preset, task, { loadWeights: false });
    for (const line of model.summary({ print: false }).trimEnd().split("\n")) console.out(line);
    await model.dispose();
    return 0;
  },
});
