/** What bench/startup.ts times: a script from its first line to its first filled mask, in steps, printed as JSON. */

const begun = performance.now();
const { models } = await import("../../mod.ts");
const imported = performance.now();
const maskedLM = await models.MaskedLM.fromPreset("xlm_roberta_declaration");
const loaded = performance.now();
const [{ token }] = await maskedLM.fillMask("All human beings are born <mask> and equal.");
const filled = performance.now();
// Milliseconds; both runtimes' clocks begin with the process.
console.log(JSON.stringify({ begun, import: imported - begun, fromPreset: loaded - imported, fillMask: filled - loaded, token }));
await maskedLM.dispose();
