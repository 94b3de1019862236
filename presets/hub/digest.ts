/** What a file's content should hash to, as hubs say it. */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";

/** An expected digest. `git` is what an etag of 40 digits may be: git's own hash of the file, or the SHA-1 that mirrors give. */
export interface ExpectedDigest {
  readonly kind: "sha256" | "md5" | "git";
  /** In hexadecimal. */
  readonly hex: string;
}

/** A digest under way. */
export interface Digest {
  update(bytes: Uint8Array): void;
  /** The digests that the content has, in hexadecimal; one of them is to be the expected one. */
  finish(): string[];
}

/** Starts a digest of a file of `size` bytes. */
export function startDigest({ kind }: ExpectedDigest, size: number): Digest {
  const hashes = kind === "git" ? [createHash("sha1").update(`blob ${size}\0`), createHash("sha1")] : [createHash(kind)];
  return {
    update: (bytes) => hashes.forEach((hash) => hash.update(bytes)),
    finish: () => hashes.map((hash) => hash.digest("hex")),
  };
}

/** The digest that an etag of the Hugging Face Hub is: SHA-256 of large files, git's hash of others. */
export function digestOfEtag(etag: string): ExpectedDigest | undefined {
  if (/^[0-9a-f]{64}$/.test(etag)) return { kind: "sha256", hex: etag };
  if (/^[0-9a-f]{40}$/.test(etag)) return { kind: "git", hex: etag };
  return undefined;
}

/** The MD5 in a header `x-goog-hash: crc32c=…,md5=…`. */
export function digestOfGoogle(headers: Headers): ExpectedDigest | undefined {
  // What is stored compressed is hashed compressed, and sent as it was before.
  if ((headers.get("x-goog-stored-content-encoding") ?? "identity") !== "identity") return undefined;
  const md5 = /(?:^|[,\s])md5=([A-Za-z0-9+/]{22}==)/.exec(headers.get("x-goog-hash") ?? "")?.[1];
  return md5 === undefined ? undefined : { kind: "md5", hex: Buffer.from(md5, "base64").toString("hex") };
}
