/** A contestant for tests: says what it was told, takes the time that it is told, and fails or ends when it is told to. */

import process from "node:process";
import { serve } from "../../bench/serve.ts";

let disposed = 0;

await serve((workload, lane) => {
  console.log("something that is no message");
  if (workload.text === "fail") return Promise.reject(new TypeError("as it was told\nand more"));
  if (workload.text === "end") {
    console.error("its last words");
    process.exit(3);
  }
  let steps = 0;
  return Promise.resolve({
    facts: { lane, batch: workload.batch, disposed },
    dispose: () => void disposed++,
    step: () => Promise.resolve({ seconds: workload.learningRate * ++steps, facts: { loss: steps, tokens: [workload.batch, 7] } }),
  });
});
