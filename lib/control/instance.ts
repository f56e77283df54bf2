import path from 'node:path';
import type { InstanceFiles } from '../api/control.js';
import { ClusterError } from '../kit/errors.js';
import { claim, type Claim, type InstanceInfo, type InstanceRecord } from './registry.js';
import { ControlServer, type Controlled } from './server.js';

/** How this process is found and spoken to by the other commands. */
export class Instance {
  readonly #claim: Claim | null;
  readonly #warn: (message: string) => void;
  #server: ControlServer | null = null;
  readonly #release = () => this.#claim?.release();

  private constructor(claimed: Claim | null, warn: (message: string) => void) {
    this.#claim = claimed;
    this.#warn = warn;
    // Whatever ends the process without close() must not leave a record behind.
    process.once('exit', this.#release);
  }

  /**
   * Enters this process in the registry. Rejects with ERR_CLUSTER_ALREADY_RUNNING; where nothing can be written, as in a
   * read-only container, the server runs all the same and says so once.
   */
  static async enter(info: InstanceInfo, warn: (message: string) => void): Promise<Instance> {
    try {
      return new Instance(await claim(info), warn);
    } catch (error) {
      if (error instanceof ClusterError && error.code === 'ERR_CLUSTER_ALREADY_RUNNING') throw error;
      warn(withoutControl(error));
      return new Instance(null, warn);
    }
  }

  get record(): InstanceRecord | null {
    return this.#claim?.record ?? null;
  }

  /** What is to be removed if this process cannot do it any more. */
  get files(): InstanceFiles | null {
    const { record } = this;
    if (!record) return null;
    const { id, socket, startedAt } = record;
    return { record: path.join(path.dirname(socket), `${id}.json`), socket, mark: JSON.stringify(startedAt) };
  }

  /** Opens the control socket. Never rejects. */
  async serve(master: Controlled): Promise<void> {
    if (!this.#claim) return;
    const server = new ControlServer(master);
    try {
      await server.listen(this.#claim.record.socket);
      this.#server = server;
    } catch (error) {
      this.#warn(withoutControl(error));
    }
  }

  /** Lets the last answers out; socket and record are gone afterwards. */
  async close(): Promise<void> {
    await this.#server?.close();
    this.#release();
    process.off('exit', this.#release);
  }
}

const withoutControl = (error: unknown) =>
  'no control socket, so stop, reload, scale and status will not find this instance: '
  + (error instanceof Error ? error.message : String(error));
