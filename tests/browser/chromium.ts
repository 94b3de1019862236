/** A headless Chromium that tests drive over the DevTools protocol. */

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findChromium, HOW_TO_GET } from "../../tools/chromium.ts";

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--no-first-run",
  "--disable-quic",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-dev-shm-usage",
  "--remote-debugging-port=0",
];

/** What a browser has beside its processor. */
export const GRAPHICS = {
  /** Nothing. */
  none: ["--disable-gpu"],
  /** WebGPU on the processor, by the software that Chromium brings along. */
  software: ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan"],
} as const;

interface Answer {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

/** A running browser with one page. */
export class Chromium {
  /** What the page printed, and what it threw. */
  readonly printed: string[] = [];
  readonly #process: ChildProcess;
  readonly #profile: string;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #session: string | undefined;
  #sent = 0;

  private constructor(child: ChildProcess, profile: string, socket: WebSocket) {
    this.#process = child;
    this.#profile = profile;
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => this.#take(JSON.parse(String(data)) as Answer));
  }

  /** Starts a browser, and opens an empty page in it. */
  static async open(graphics: keyof typeof GRAPHICS = "none"): Promise<Chromium> {
    const path = findChromium();
    if (!path) throw new Error(`The tests of pages need Chromium. ${HOW_TO_GET}`);
    const profile = mkdtempSync(join(tmpdir(), "onnxhub-chromium-"));
    const child = spawn(path, [...FLAGS, ...GRAPHICS[graphics], `--user-data-dir=${profile}`, "about:blank"], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    const address = await new Promise<string>((resolve, reject) => {
      let said = "";
      child.stderr!.setEncoding("utf8").on("data", (text: string) => {
        said += text;
        const found = /DevTools listening on (ws:\S+)/.exec(said);
        if (found) resolve(found[1]);
      });
      child.on("error", reject);
      child.on("close", (code) => reject(new Error(`Chromium ended with ${code}: ${said}`)));
    });
    const socket = new WebSocket(address);
    await new Promise((resolve, reject) => {
      socket.addEventListener("open", resolve);
      socket.addEventListener("error", () => reject(new Error(`No answer at ${address}`)));
    });
    const browser = new Chromium(child, profile, socket);
    const { targetId } = await browser.send("Target.createTarget", { url: "about:blank" });
    browser.#session = (await browser.send("Target.attachToTarget", { targetId, flatten: true })).sessionId as string;
    await browser.send("Page.enable");
    await browser.send("Runtime.enable");
    return browser;
  }

  /** Sends a command of the DevTools protocol, to the page once there is one. */
  send(method: string, params: Readonly<Record<string, unknown>> = {}): Promise<Record<string, unknown>> {
    const id = ++this.#sent;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, ({ result, error }) => error ? reject(new Error(`${method}: ${error.message}`)) : resolve(result ?? {}));
      this.#socket.send(JSON.stringify({ id, method, params, ...(this.#session && { sessionId: this.#session }) }));
    });
  }

  #take({ id, method, params, ...answer }: Answer): void {
    if (id !== undefined) {
      this.#waiting.get(id)?.(answer);
      this.#waiting.delete(id);
    } else if (method === "Runtime.consoleAPICalled") {
      const values = params!.args as { value?: unknown; description?: string }[];
      this.printed.push(values.map(({ value, description }) => String(value ?? description)).join(" "));
    } else if (method === "Runtime.exceptionThrown") {
      const { text, exception } = params!.exceptionDetails as { text: string; exception?: { description?: string } };
      this.printed.push(`${text} ${exception?.description ?? ""}`);
    } else if (method === "Page.loadEventFired") {
      this.#loaded?.();
    }
  }

  #loaded: (() => void) | undefined;

  /** Goes to a URL, and waits until its load event. */
  async goTo(url: string): Promise<void> {
    const loaded = new Promise<void>((resolve) => this.#loaded = resolve);
    const { errorText } = await this.send("Page.navigate", { url });
    if (errorText) throw new Error(`${url}: ${errorText}`);
    await loaded;
  }

  /** What an expression gives in the page; promises are waited for. Throws what the page throws. */
  async evaluate<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true }) as {
      result: { value: T };
      exceptionDetails?: { text: string; exception?: { description?: string } };
    };
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  /** The page as a PNG. */
  async screenshot(): Promise<Uint8Array> {
    const { data } = await this.send("Page.captureScreenshot", { captureBeyondViewport: true });
    return Uint8Array.from(atob(data as string), (character) => character.charCodeAt(0));
  }

  /** Ends the browser. */
  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.on("close", resolve));
    this.#socket.close();
    this.#process.kill("SIGKILL");
    await ended;
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5 });
  }
}
