import type { InstanceFiles } from '../lib/api/control.js';
import { ClusterError, messageOf } from '../lib/kit/errors.js';
import { Claim } from '../lib/control/claim.js';
import type { InstanceInfo, InstanceRecord } from '../lib/control/registry.js';
import { ControlServer, type Controlled } from '../lib/control/server.js';

/** How often it is looked whether record and socket are still there, ms: cleaners of temporary files take them. */
const LOOK = 5_000;

/** How this process is found and spoken to by the other commands. */
export class Instance {
  readonly #claim: Claim | null;
  readonly #warn: (message: string) => void;
  readonly #every: number;
  #server: ControlServer | null = null;
  #looking: NodeJS.Timeout | undefined;
  /** What cannot be mended is said once. */
  #complained = false;
  readonly #release = () => this.#claim?.release();
  /** They lie elsewhere now. */
  onMoved: (files: InstanceFiles) => void = () => {};

  private constructor(claimed: Claim | null, warn: (message: string) => void, every: number) {
    this.#every = every;
    this.#claim = claimed;
    this.#warn = warn;
    // Whatever ends the process without close() must not leave a record behind.
    process.once('exit', this.#release);
  }

  /**
   * Enters this process in the registry. Rejects with ERR_CLUSTER_ALREADY_RUNNING; where nothing can be written, as in a
   * read-only container, the server runs all the same and says so once. `every`: milliseconds between two looks.
   */
  static async enter(info: InstanceInfo, warn: (message: string) => void, every = LOOK): Promise<Instance> {
    try {
      return new Instance(await Claim.make(info), warn, every);
    } catch (error) {
      if (error instanceof ClusterError && error.code === 'ERR_CLUSTER_ALREADY_RUNNING') throw error;
      warn(withoutControl(error));
      return new Instance(null, warn, every);
    }
  }

  get record(): InstanceRecord | null {
    return this.#claim?.record ?? null;
  }

  /** What is to be removed if this process cannot do it any more. */
  get files(): InstanceFiles | null {
    if (!this.#claim) return null;
    const { file, record: { socket, startedAt } } = this.#claim;
    return { record: file, socket, mark: JSON.stringify(startedAt) };
  }

  /** Opens the control socket, and from then on sees to it that it can be found. Never rejects. */
  async serve(master: Controlled): Promise<void> {
    if (!this.#claim) return;
    this.#server = new ControlServer(master);
    try {
      await this.#listen(this.#server, this.#claim);
      await this.#claim.remember();
    } catch (error) {
      this.#warn(withoutControl(error));
    }
    if (process.platform !== 'win32') this.#lookLater();
  }

  /** Lets the last answers out; socket and record are gone afterwards. */
  async close(): Promise<void> {
    clearTimeout(this.#looking);
    const { server, claim } = { server: this.#server, claim: this.#claim };
    this.#server = null;
    await server?.close();
    claim?.release();
  }

  /** Not every file system that takes a record takes a socket. */
  async #listen(server: ControlServer, claim: Claim): Promise<void> {
    const first = claim.record.socket;
    for (;;) {
      try {
        await server.listen(claim.record.socket);
        break;
      } catch (error) {
        if (!await claim.move()) throw error;
      }
    }
    if (claim.record.socket !== first && this.files) this.onMoved(this.files);
  }

  #lookLater(): void {
    this.#looking = setTimeout(() => {
      void this.#look().finally(() => { if (this.#server) this.#lookLater(); });
    }, this.#every).unref();
  }

  /** Makes anew what was taken away. Never rejects. */
  async #look(): Promise<void> {
    const claim = this.#claim as Claim;
    try {
      claim.touch();
      if (await claim.undisturbed()) return;
      const before = claim.record.socket;
      if (!await claim.restore()) return;
      const { socket } = claim.record;
      if (this.#server?.standsAt(socket) === false) {
        await this.#server.listen(socket);
        this.#warn(`record or control socket of this instance had been removed; made anew: ${socket}`);
      }
      if (socket !== before && this.files) this.onMoved(this.files);
      await claim.remember();
      this.#complained = false;
    } catch (error) {
      if (!this.#complained) this.#warn(withoutControl(error));
      this.#complained = true;
    }
  }
}

const withoutControl = (error: unknown) =>
  'no control socket, so stop, reload, scale and status will not find this instance: '
  + messageOf(error);
