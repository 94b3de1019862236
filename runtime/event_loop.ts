/** Lets the event loop turn between runs that block it: timers, signals, requests and a page's events come through meanwhile. */

/** Milliseconds that it is kept from turning at most, if no run takes longer. */
const LONGEST = 50;

let turned = performance.now();

/** Gives way where the last turn is long ago: a turn takes a third of a millisecond in Deno. */
export async function turnEventLoop(): Promise<void> {
  if (performance.now() - turned < LONGEST) return;
  await new Promise<void>(afterOthers);
  turned = performance.now();
}

/** Calls back once what waits has run. Timers would do, but pages make them wait for 4 ms. */
function afterOthers(resume: () => void): void {
  if (typeof setImmediate === "function") return void setImmediate(resume);
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    port1.close();
    resume();
  };
  port2.postMessage(null);
}
