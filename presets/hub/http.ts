/** HTTP as hubs need it: redirects that lose credentials at another host, time limits, retries. */

import { OnnxHubError } from "../../errors.ts";
import { connectionFailure, permissionFailure, stalled, statusFailure } from "./failures.ts";
import type { HubSettings } from "./settings.ts";

/** A request. */
export interface Ask {
  /** What is asked for, as errors call it: `hf://org/name/config.json`. */
  readonly name: string;
  readonly url: string;
  readonly method?: "GET" | "POST";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** How long the server may be silent, before its answer and within it. */
  readonly timeoutSeconds: number;
  /** Whether redirects to other hosts are followed; default true. */
  readonly elsewhere?: boolean;
}

/** What came back. The body is read through `chunks` or `text`, or given up with `close`. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** Where the answer came from, after redirects. */
  readonly url: string;
  /** The body, piece by piece. Throws "preset/connection" where it is cut, "preset/stalled" where it stops coming. */
  chunks(): AsyncGenerator<Uint8Array, void>;
  /** The body as text; of a longer one nothing past `limit` bytes is read. */
  text(limit: number): Promise<string>;
  close(): void;
}

/** What one try came to. */
export type Outcome<T> = { readonly done: T } | { readonly failed: OnnxHubError; readonly retry: boolean; readonly after?: number };

const CREDENTIALS: readonly string[] = ["authorization", "cookie", "proxy-authorization"];
const MAX_REDIRECTS = 10;
const MAX_TRIES = 5;
/** However much each one gains. */
const MAX_TRIES_IN_ALL = 100;
/** A server that asks for a longer wait is not waited for. */
const MAX_WAIT_SECONDS = 60;
/** A wait that is told of. */
const LONG_WAIT_SECONDS = 5;

/** One request, redirects included. Throws "preset/connection", "preset/stalled", "preset/redirect", "preset/permission". */
export async function send(ask: Ask): Promise<Answer> {
  let url = ask.url;
  let { method = "GET", body } = ask;
  let headers: Record<string, string> = { "accept-encoding": "identity", "user-agent": "onnxhub", ...ask.headers };
  for (let hops = 0;; hops++) {
    const answer = await sendOnce({ ...ask, url, method, body, headers });
    const location = answer.headers.get("location");
    if (answer.status < 300 || answer.status >= 400 || answer.status === 304 || location === null) return answer;
    const from = new URL(url);
    const to = URL.canParse(location, url) ? new URL(location, url) : undefined;
    if (to && to.host !== from.host && ask.elsewhere === false) return answer;
    answer.close();
    const wrong = !to || !/^https?:$/.test(to.protocol)
      ? `a redirect to ${JSON.stringify(location.slice(0, 200))}`
      : from.protocol === "https:" && to.protocol === "http:"
      ? `a redirect from https to ${to.origin}`
      : hops >= MAX_REDIRECTS
      ? `more than ${MAX_REDIRECTS} redirects`
      : undefined;
    if (wrong !== undefined) {
      throw new OnnxHubError("preset/redirect", "This address leads nowhere that can be trusted", { path: ask.name, found: wrong });
    }
    if (to!.host !== from.host) headers = Object.fromEntries(Object.entries(headers).filter(([key]) => !CREDENTIALS.includes(key)));
    if (answer.status < 307 && method === "POST") {
      method = "GET";
      body = undefined;
      headers = Object.fromEntries(Object.entries(headers).filter(([key]) => key !== "content-type"));
    }
    url = to!.href;
  }
}

async function sendOnce({ name, url, method, headers, body, timeoutSeconds }: Ask): Promise<Answer> {
  const controller = new AbortController();
  let silent = false;
  /** Waits for what the server sends next, as long as it may be silent. */
  const patiently = async <T>(promise: Promise<T>): Promise<T> => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        silent = true;
        controller.abort();
        reject(stalled(name, url, timeoutSeconds));
      }, timeoutSeconds * 1000);
    });
    try {
      return await Promise.race([promise, late]);
    } catch (error) {
      if (silent) throw stalled(name, url, timeoutSeconds);
      throw error instanceof OnnxHubError ? error : permissionFailure(name, error) ?? connectionFailure(name, url, error);
    } finally {
      clearTimeout(timer);
    }
  };
  const response = await patiently(fetch(url, { method, headers, body, redirect: "manual", signal: controller.signal }));
  async function* chunks(): AsyncGenerator<Uint8Array, void> {
    const reader = response.body?.getReader();
    if (!reader) return;
    let ended = false;
    try {
      for (;;) {
        const { done, value } = await patiently(reader.read());
        if (done) break;
        yield value;
      }
      ended = true;
    } finally {
      if (!ended) controller.abort();
    }
  }
  return {
    status: response.status,
    headers: response.headers,
    url,
    chunks,
    async text(limit) {
      const decoder = new TextDecoder();
      let text = "";
      let length = 0;
      for await (const chunk of chunks()) {
        text += decoder.decode(chunk.subarray(0, limit - length), { stream: true });
        length += chunk.length;
        if (length >= limit) break;
      }
      return text + decoder.decode();
    },
    close: () => controller.abort(),
  };
}

/** Whether a status may pass with time. */
export function isPassing(status: number): boolean {
  return status === 408 || status === 429 || status >= 500;
}

/** What the server says of when to come again, in seconds. */
export function retryAfter(headers: Headers): number | undefined {
  const value = headers.get("retry-after");
  if (value === null) return undefined;
  if (/^\d+$/.test(value.trim())) return Number(value);
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, (date - Date.now()) / 1000);
}

/**
 * Tries until it is done: after failures that may pass, up to five in a row, waiting 1, 2, 4, 8 seconds or as long as the server says. `progress`
 * counts what was gained; a try that gained something starts the row anew.
 */
export async function persist<T>(
  settings: HubSettings,
  attempt: () => Promise<Outcome<T>>,
  progress: () => number = () => 0,
  tries: number = MAX_TRIES,
): Promise<T> {
  let gained = progress();
  for (let failures = 1, all = 1;; failures++, all++) {
    const outcome = await attempt();
    if ("done" in outcome) return outcome.done;
    if (progress() > gained) {
      gained = progress();
      failures = 1;
    }
    const { failed, retry, after } = outcome;
    if (!retry || failures >= tries || all >= MAX_TRIES_IN_ALL || (after ?? 0) > MAX_WAIT_SECONDS) throw failed;
    const wait = after ?? 2 ** (failures - 1);
    if (wait >= LONG_WAIT_SECONDS) settings.console.write(`${failed.what}; trying again in ${Math.ceil(wait)} seconds.\n`);
    await settings.sleep(wait * 1000);
  }
}

/** A request, again where what is wrong may pass. Gives the answer, whatever its status, unless that is one that may pass: that is thrown in the end. */
export function ask(settings: HubSettings, request: Ask, tries?: number): Promise<Answer> {
  return persist<Answer>(
    settings,
    async () => {
      try {
        const answer = await send(request);
        return isPassing(answer.status) ? await passing(request.name, answer) : { done: answer };
      } catch (error) {
        return failure(error);
      }
    },
    undefined,
    tries,
  );
}

/** The outcome of an answer that may be another in a while. */
export async function passing(name: string, answer: Answer): Promise<Outcome<never>> {
  const after = retryAfter(answer.headers);
  return { failed: statusFailure(name, answer.url, answer.status, await reasonOf(answer), after), retry: true, after };
}

/** The outcome of an error that `send` threw; others go through. */
export function failure(error: unknown): Outcome<never> {
  if (!(error instanceof OnnxHubError)) throw error;
  return { failed: error, retry: error.code === "preset/connection" || error.code === "preset/stalled" };
}

/** What an answer says of why, in one line. */
export async function reasonOf(answer: Answer): Promise<string> {
  const header = answer.headers.get("x-error-message");
  if (header) {
    answer.close();
    return header.slice(0, 300);
  }
  let text: string;
  try {
    text = await answer.text(10_000);
  } catch {
    return "";
  }
  try {
    const json = JSON.parse(text);
    const message = json?.message ?? json?.Message ?? json?.error;
    if (typeof message === "string") return message.slice(0, 300);
  } catch {
    // No JSON: the text itself, unless it is a page.
  }
  return text.trimStart().startsWith("<") ? "" : text.replace(/\s+/g, " ").trim().slice(0, 300);
}
