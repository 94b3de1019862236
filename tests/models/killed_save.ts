/** A program that saves a preset over another and is killed on the way: `killed_save.ts SOURCE TARGET WHERE`. */

import process from "node:process";
import { models } from "../../mod.ts";

const [source, target, where] = process.argv.slice(2);
const die = (): boolean => process.kill(process.pid, "SIGKILL");

const model = await models.MaskedLM.fromPreset(source);
await model.setWeights((await model.getWeights()).map((weight) => ({ ...weight, data: weight.data.map((value) => value + 1) })));

/** Dies when the weight is read to be written. */
function dieAt(weight: string): void {
  for (const { parameters } of [model, model.backbone]) {
    const get = parameters.get.bind(parameters);
    parameters.get = (path) => {
      if (path === weight) die();
      return get(path);
    };
  }
}

/** A date that dies when its year is asked for, in the midst of metadata.json. */
class LastDate extends Date {
  override getFullYear(): number {
    die();
    return super.getFullYear();
  }
}

let date = new Date(2026, 0, 1);
if (where === "metadata.json") date = new LastDate(date);
else if (where === "assets") model.preprocessor!.tokenizer.text.assets = () => (die(), {});
else if (where !== "nowhere") dieAt(where);
await model.saveToPreset(target, { date });
