import type { ConnectionRouting } from '../../api/plugin.js';
import type { Config } from '../../config/schema.js';
import { ClusterError } from '../../kit/errors.js';
import type { RawHandle } from '../../node/raw-sockets.js';

interface Tap extends ConnectionRouting {
  plugin: string;
}

/**
 * What all plugins together do with connections: each sees them in the order of the plugins, one of them may choose the
 * slot. It is the acceptor's one routing.
 */
export class Routing {
  /** Somebody looks at connections before they are routed. */
  prepares = false;
  readonly #taps: Tap[] = [];
  #picker: Tap | undefined;

  /** @throws ClusterError ERR_CLUSTER_PLUGIN, naming both, where two plugins want to choose */
  add(plugin: string, routing: ConnectionRouting): void {
    const tap: Tap = { ...bound(routing), plugin };
    if (tap.pick) {
      if (this.#picker) throw new ClusterError('ERR_CLUSTER_PLUGIN',
        `plugins "${this.#picker.plugin}" and "${plugin}" both pick the slots of connections (routeConnections): switch one of them off`);
      this.#picker = tap;
    }
    this.prepares ||= tap.prepare !== undefined;
    this.#taps.push(tap);
  }

  /** Milliseconds; for ever where nobody picks, as then no slot keeps any. */
  get patience(): number {
    return this.#picker?.patience ?? Infinity;
  }

  pick(client: RawHandle, unavailable: (slot: number) => boolean): number | undefined {
    return this.#picker?.pick?.(client, unavailable);
  }

  /** From one plugin to the next; the last note of any goes to the worker. */
  prepare(client: RawHandle, admit: (note?: unknown) => void, drop: () => void): void {
    const from = (at: number, note: unknown): void => {
      const next = this.#taps.findIndex(({ prepare }, index) => index >= at && prepare !== undefined);
      if (next < 0) return admit(note);
      let admitted = false;
      this.#taps[next]?.prepare?.(client, (own) => {
        if (admitted) return;
        admitted = true;
        from(next + 1, own ?? note);
      }, drop);
    };
    from(0, undefined);
  }

  /**
   * Whether this Node can do what the configuration and the plugins want.
   * @throws ClusterError ERR_CLUSTER_BALANCE: `reuse-port` before Node 22.12 or outside Linux; connections are routed that the master never sees
   */
  check(balance: Config['balance'], { node = process.versions.node, platform = process.platform }: { node?: string; platform?: string } = {}): void {
    const [first] = this.#taps;
    if (first && balance !== 'round-robin') {
      throw new ClusterError('ERR_CLUSTER_BALANCE',
        `plugin "${first.plugin}" routes connections, which the master sees with \`balance: "round-robin"\` alone, found "${balance}"`);
    }
    if (balance !== 'reuse-port') return;
    const [major = 0, minor = 0] = node.split('.').map(Number);
    const instead = 'use "round-robin" or "os"';
    if (platform !== 'linux') throw new ClusterError('ERR_CLUSTER_BALANCE', `balance: "reuse-port" needs Linux, this is ${platform}; ${instead}`);
    if (major < 22 || (major === 22 && minor < 12)) {
      throw new ClusterError('ERR_CLUSTER_BALANCE', `balance: "reuse-port" needs Node.js 22.12 or later, this is ${node}; ${instead}`);
    }
  }
}

/** Methods of a plugin's own object keep their `this`. */
function bound(routing: ConnectionRouting): ConnectionRouting {
  return {
    patience: routing.patience,
    ...(routing.pick ? { pick: (...args) => routing.pick?.(...args) } : {}),
    ...(routing.prepare ? { prepare: (...args) => routing.prepare?.(...args) } : {}),
  };
}
