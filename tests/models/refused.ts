/** Requires that something is refused, and how. */

import assert from "node:assert/strict";
import { OnnxHubError } from "../../mod.ts";

/** Runs `body`; it must throw or reject with that code and a message that matches everything in `says`. */
export async function refused(body: () => unknown, code: string, ...says: RegExp[]): Promise<void> {
  try {
    await body();
  } catch (error) {
    assert.ok(error instanceof OnnxHubError, `${error}`);
    assert.equal(error.code, code, error.message);
    for (const part of says) assert.match(error.message, part);
    return;
  }
  assert.fail(`nothing was refused; ${code} was expected`);
}
