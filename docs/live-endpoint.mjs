// A client of a live pointer (docs/clients.md) for Node.js, with types that TypeScript reads (allowJs). It needs nothing but an SSM client:
//
//   const ssm = new SSMClient({});
//   const live = new LiveEndpoint("wine", async (Name) =>
//     (await ssm.send(new GetParameterCommand({ Name }))).Parameter?.Value);
//   await runtime.send(new InvokeEndpointCommand({ EndpointName: await live.endpoint(userId), Body }));
import { createHash } from "node:crypto";

/** @typedef {{ endpoint: string, green?: string, share: number }} Split Where requests go; the share is green's, in percent. */

/**
 * Where a pointer sends requests. Throws where it is not readable.
 * @param {string} text
 * @returns {Split}
 */
export function parse(text) {
  const pointer = JSON.parse(text);
  const green = pointer?.green ?? undefined;
  const split = { endpoint: pointer?.endpoint_name, green: green?.endpoint_name, share: green?.share ?? 0 };
  const isShare = typeof split.green === "string" && split.green !== "" && typeof split.share === "number";
  if (typeof split.endpoint !== "string" || (green !== undefined && !(isShare && split.share > 0 && split.share < 100)))
    throw new Error(`the live pointer names no endpoint, or a share that is none: ${text.slice(0, 160)}`);
  return split;
}

/**
 * The endpoint of one request: the same for a key while the shares stand, and drawn anew without one.
 * @param {Split} split
 * @param {string} [key]
 */
export function draw(split, key) {
  if (split.green === undefined) return split.endpoint;
  const drawn = key === undefined ? Math.random() : place(key, split.green);
  return 100 * drawn < split.share ? split.green : split.endpoint;
}

/**
 * @param {string} key
 * @param {string} green
 */
function place(key, green) {
  return createHash("sha256").update(`${green}/${key}`, "utf8").digest().readUIntBE(0, 6) / 2 ** 48;
}

export class LiveEndpoint {
  /** @type {Split | undefined} */ #known;
  /** @type {Promise<void> | undefined} */ #asking;
  #askedAt = -Infinity;
  #name;
  #read;
  #maxAge;

  /**
   * @param {string} name what rollouts call endpoint_name
   * @param {(parameter: string) => Promise<string | undefined>} read gives an SSM parameter's value
   * @param {number} maxAge how old an answer may be, in milliseconds
   */
  constructor(name, read, maxAge = 5000) {
    this.#name = name;
    this.#read = read;
    this.#maxAge = maxAge;
  }

  /** @param {string} [key] whose request it is */
  async endpoint(key) {
    if (performance.now() - this.#askedAt >= this.#maxAge) {
      this.#asking ??= this.#ask().finally(() => (this.#asking = undefined));
      await this.#asking;
    }
    return draw(/** @type {Split} */ (this.#known), key);
  }

  async #ask() {
    const askedAt = performance.now();
    try {
      this.#known = parse((await this.#read(`/sm-rollout-live/${this.#name}`)) ?? "");
    } catch (error) {
      if (error.name === "ParameterNotFound") this.#known = { endpoint: this.#name, share: 0 };
      else if (this.#known === undefined) throw error;
      else console.warn(`Could not resolve ${this.#name}, going on with the last answer: ${error}`);
    }
    this.#askedAt = askedAt;
  }
}
