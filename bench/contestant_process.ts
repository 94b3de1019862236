/** A contestant's process, as the bench sees it: started, asked, put to sleep while others run. */

import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";
import { peakBytes, processTree } from "./memory.ts";
import { readMessage, type Request, type Response, writeMessage } from "./protocol.ts";

/** How a contestant is started. */
export interface Launch {
  readonly command: string;
  readonly args: readonly string[];
  /** Where it runs; the project's root where nothing is said. */
  readonly directory?: string;
  /** Added to this process's own. */
  readonly env?: Readonly<Record<string, string>>;
  /** Contestants of one process have one key, and each a lane of its own. */
  readonly shared?: { readonly key: string; readonly lane: string };
}

/** After how long a silent contestant counts as stuck. */
const PATIENCE = 1_200_000; // milliseconds

/** How long threads get to fall asleep before another contestant is measured. */
const SETTLE = 300; // milliseconds

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** All that run; a bench that is interrupted leaves none behind, asleep for ever. */
const running = new Set<ContestantProcess>();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    for (const one of running) one.kill();
    process.exit(1);
  });
}

/** A running contestant. */
export class ContestantProcess {
  readonly #child: ChildProcess;
  readonly #complaints: string[] = [];
  #answered: ((response: Response) => void) | null = null;
  #ended: string | null = null;

  /** Starts it. */
  constructor({ command, args, env, directory }: Launch, root: string) {
    this.#child = spawn(command, args, { cwd: directory ?? root, env: { ...process.env, ...env }, stdio: ["pipe", "pipe", "pipe"] });
    running.add(this);
    createInterface({ input: this.#child.stdout! }).on("line", (line) => {
      const response = readMessage<Response>(line);
      if (response?.did === "fail") this.#settle({ ...response, reason: response.reason.split("\n", 1)[0] });
      else if (response) this.#settle(response);
      else this.#complain(line);
    });
    createInterface({ input: this.#child.stderr! }).on("line", (line) => this.#complain(line));
    this.#child.stdin!.on("error", () => {});
    this.#child.on("error", (error) => this.#end(error.message));
    this.#child.on("close", (code, signal) => this.#end(`it ended with ${signal ?? `code ${code}`}: ${this.#lastWords()}`));
  }

  /** Asks for one thing and waits for the answer; a contestant that ends or is silent for too long has failed. */
  async ask(request: Request): Promise<Response> {
    if (this.#ended !== null) return { did: "fail", reason: this.#ended };
    const response = new Promise<Response>((resolve) => this.#answered = resolve);
    this.#child.stdin!.write(`${writeMessage(request)}\n`);
    const timer = setTimeout(() => this.#settle({ did: "fail", reason: `no answer in ${PATIENCE / 1000} s` }), PATIENCE);
    try {
      return await response;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Stops its threads where they are. */
  async sleep(settle: number = SETTLE): Promise<void> {
    this.#signal("SIGSTOP");
    await pause(settle);
  }

  /** Lets them go on. */
  wake(): void {
    this.#signal("SIGCONT");
  }

  /** The most bytes it ever had, with its children; null where the system doesn't say or it is gone. */
  peakBytes(): number | null {
    return this.#ended === null && this.#child.pid !== undefined ? peakBytes(this.#child.pid) : null;
  }

  /** Ends it at once, and what it started. */
  kill(): void {
    this.#signal("SIGKILL");
  }

  /** Lets it end, and what it started. */
  async stop(): Promise<void> {
    if (this.#ended !== null) return;
    const closed = new Promise<void>((resolve) => this.#child.once("close", () => resolve()));
    this.wake();
    this.#child.stdin!.end();
    const timer = setTimeout(() => this.kill(), 5000);
    await closed;
    clearTimeout(timer);
  }

  #signal(signal: "SIGSTOP" | "SIGCONT" | "SIGKILL"): void {
    if (this.#ended !== null || this.#child.pid === undefined || process.platform === "win32") return;
    for (const pid of processTree(this.#child.pid)) {
      try {
        process.kill(pid, signal);
      } catch {
        // It has ended by itself.
      }
    }
  }

  #settle(response: Response): void {
    this.#answered?.(response);
    this.#answered = null;
  }

  #end(reason: string): void {
    this.#ended ??= reason;
    running.delete(this);
    this.#settle({ did: "fail", reason: this.#ended });
  }

  #complain(line: string): void {
    if (line.trim() === "") return;
    this.#complaints.push(line.trim());
    if (this.#complaints.length > 20) this.#complaints.shift();
  }

  #lastWords(): string {
    return this.#complaints.slice(-3).join(" / ") || "without a word";
  }
}
