import path from 'node:path';
import type { ChildView } from '../../api/child.js';
import type { HeldSocket as Held } from '../../api/plugin.js';
import { ClusterError } from '../../kit/errors.js';
import { show } from '../../kit/misuse.js';
import { grantAccess, makeDirs, removeStaleSocket, socketPathFault } from '../../kit/sockets.js';
import { message, sendHandle } from '../../node/cluster.js';
import { bindOnly } from '../../node/listening.js';
import type { RawHandle } from '../../node/raw-sockets.js';
import type { Child } from '../processes/child.js';

/** Milliseconds a worker may take to begin accepting, and to end it. */
const BEGIN = 5_000;
const END = 1_000;

/**
 * A unix socket that the master keeps open and never accepts from: the worker it is given to does. While there is none, or it
 * is replaced, connections wait in the kernel, so none is refused or lost.
 */
export class HeldSocket implements Held {
  readonly path: string;
  readonly #handle: RawHandle;
  readonly #group: () => number | undefined;

  private constructor(file: string, handle: RawHandle, group: () => number | undefined) {
    this.path = file;
    this.#group = group;
    this.#handle = handle;
  }

  /** Its group is the one that the configuration names now. */
  grant(mode: number): void {
    const fault = modeFault(mode);
    if (fault) throw new ClusterError('ERR_CLUSTER_PLUGIN', `grant: ${fault}`);
    grantAccess(this.path, { mode, gid: this.#group() });
  }

  /**
   * Binds it, in place of one that a dead process left behind. `mode`: permissions.
   * @throws ClusterError ERR_CLUSTER_START; ERR_CLUSTER_PLUGIN for what is no path or no mode
   */
  static async open(plugin: string, file: string, mode: number, group: () => number | undefined): Promise<HeldSocket> {
    const fault = socketPathFault(file) ?? modeFault(mode);
    if (fault) throw new ClusterError('ERR_CLUSTER_PLUGIN', `plugin "${plugin}", holdSocket: ${fault}`);
    const failed = (why: string, cause?: unknown) =>
      new ClusterError('ERR_CLUSTER_START', `plugin "${plugin}", holdSocket: cannot listen on ${file}: ${why}`, { cause });
    try {
      makeDirs(path.dirname(file));
      await removeStaleSocket(file);
    } catch (error) {
      throw failed((error as Error).message, error);
    }
    const handle = bindOnly(file);
    if (typeof handle === 'number') throw failed('somebody else does, or the place is not ours to write');
    const held = new HeldSocket(file, handle, group);
    try {
      held.grant(mode);
    } catch (error) {
      handle.close();
      throw failed((error as Error).message, error);
    }
    return held;
  }

  /** Resolves when the worker accepts from it; rejects with ERR_CLUSTER_REQUEST_TIMEOUT or _CHANNEL_CLOSED. */
  async give(child: ChildView): Promise<void> {
    const { process: to, channel } = child as Child;
    sendHandle(to, { cmd: message.heldSocket, path: this.path }, this.#handle, () => {});
    await channel.request('child.accept', { path: this.path }, { timeout: BEGIN });
  }

  /** For good, before its worker drains: nobody finds it any more, and the worker takes those who have come until now. */
  async finish(child: ChildView): Promise<void> {
    this.close();
    // A blocked worker, or one that is gone, takes nobody.
    await (child as Child).channel.request('child.acceptRest', { path: this.path }, { timeout: END }).catch(() => {});
  }

  /** The file goes with it. Idempotent. */
  close(): void {
    this.#handle.close();
  }
}

const modeFault = (mode: number): string | undefined => Number.isInteger(mode) && mode >= 0 && mode <= 0o777
  ? undefined
  : `expected permissions from 0 to 0o777 as the mode, found ${show(mode)}`;
