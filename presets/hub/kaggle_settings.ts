/** Kaggle's addresses, credentials and cache, from the same variables and files as its Python client's. */

import { Buffer } from "node:buffer";
import * as fs from "node:fs";
import { join } from "node:path";
import { OnnxHubError } from "../../errors.ts";
import { expandHome, inHome, variable } from "./settings.ts";

/** Where Kaggle's two interfaces and its pages are. */
export interface KaggleAddresses {
  /** Calls by name: `{calls}/models.ModelApiService/GetModelInstance`. */
  readonly calls: string;
  /** The older paths: `{paths}/models/{owner}/…`. */
  readonly paths: string;
  readonly pages: string;
}

const ENVIRONMENTS: Readonly<Record<string, string>> = {
  LOCALHOST: "http://localhost",
  STAGING: "https://staging.kaggle.com",
  ADMIN: "https://admin.kaggle.com",
  QA: "https://qa.kaggle.com",
};

/** The addresses: `KAGGLE_API_ENDPOINT`, else those of `KAGGLE_API_ENVIRONMENT`, else Kaggle's own. */
export function kaggleAddresses(): KaggleAddresses {
  const environment = variable("KAGGLE_API_ENVIRONMENT");
  if (environment !== undefined && environment !== "PROD" && !(environment in ENVIRONMENTS)) {
    throw new OnnxHubError("preset/setting", "Unknown Kaggle environment", {
      path: "KAGGLE_API_ENVIRONMENT",
      expected: `PROD, ${Object.keys(ENVIRONMENTS).join(", ")}`,
      found: environment,
    });
  }
  const endpoint = (variable("KAGGLE_API_ENDPOINT") ?? ENVIRONMENTS[environment ?? ""])?.replace(/\/+$/, "");
  if (endpoint === undefined || endpoint === "https://www.kaggle.com") {
    return { calls: "https://api.kaggle.com/v1", paths: "https://www.kaggle.com/api/v1", pages: "https://www.kaggle.com" };
  }
  return { calls: `${endpoint}/api/v1`, paths: `${endpoint}/api/v1`, pages: endpoint };
}

/** The directory of all models: `KAGGLEHUB_CACHE`. */
export function kaggleCache(): string {
  return join(expandHome(variable("KAGGLEHUB_CACHE") ?? inHome(".cache", "kagglehub")), "models");
}

/**
 * The header `authorization`, or undefined: a token (`KAGGLE_API_TOKEN`, itself or a path to it; `~/.kaggle/access_token`), else a name and a key
 * (`KAGGLE_USERNAME` and `KAGGLE_KEY`; `kaggle.json` in `KAGGLE_CONFIG_DIR` or `~/.kaggle`).
 */
export function kaggleAuthorization(): string | undefined {
  const token = accessToken();
  if (token !== undefined) return `Bearer ${token}`;
  const username = variable("KAGGLE_USERNAME");
  const key = variable("KAGGLE_KEY");
  if (username !== undefined && key !== undefined) return basic(username, key);
  const directory = variable("KAGGLE_CONFIG_DIR");
  const path = join(directory === undefined ? inHome(".kaggle") : expandHome(directory), "kaggle.json");
  if (!fs.existsSync(path)) return undefined;
  let json: { username?: unknown; key?: unknown } | null;
  try {
    json = JSON.parse(fs.readFileSync(path, "utf8"));
  } catch {
    json = null;
  }
  if (typeof json?.username === "string" && typeof json.key === "string") return basic(json.username, json.key);
  throw new OnnxHubError("preset/setting", "Invalid Kaggle credentials file", {
    path,
    expected: '{"username": "…", "key": "…"}',
    remedy: "Make it anew at https://www.kaggle.com/settings.",
  });
}

function basic(username: string, key: string): string {
  return `Basic ${Buffer.from(`${username}:${key}`).toString("base64")}`;
}

function accessToken(): string | undefined {
  const given = variable("KAGGLE_API_TOKEN");
  if (given !== undefined) {
    // A token has no slash; a path to a file with one has.
    const path = expandHome(given);
    return (/[/\\]/.test(given) && fs.existsSync(path) ? fs.readFileSync(path, "utf8") : given).trim();
  }
  for (const name of ["access_token", "access_token.txt"]) {
    const path = inHome(".kaggle", name);
    const token = fs.existsSync(path) ? fs.readFileSync(path, "utf8").trim() : "";
    if (token) return token;
  }
  return undefined;
}
