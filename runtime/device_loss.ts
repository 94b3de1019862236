/** The loss of a device as an error, and doing again what it was lost in. */

import { OnnxHubError } from "../errors.ts";

/** Whether an error says that a device was lost. */
export function isLoss(error: unknown): error is OnnxHubError {
  return error instanceof OnnxHubError && error.code === "backend/device-lost";
}

/** Does something; where a device is lost in it once more, after `recover` has brought back what was lost. */
export async function onceMoreAfterLoss<T>(body: () => Promise<T>, recover: (loss: OnnxHubError) => Promise<void>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    if (!isLoss(error)) throw error;
    await recover(error);
    return await body();
  }
}
