import { cpSync, mkdtempSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fixture, startCluster, type ClusterOptions, type Scope, type TestCluster } from './cluster.js';
import { Lost, once, RawConnection, requestHead, Tally } from './raw-client.js';

/** `framework dev` on a copy of a fixture that may be edited. */
export interface Dev {
  cluster: TestCluster;
  dir: string;
  write(file: string, text: string): void;
  /** As editors save: a new file takes the place of the old one. */
  replace(file: string, text: string): void;
  /** The answer's body; whoever answers. */
  get(url?: string, headers?: Record<string, string>): Promise<string>;
  /** Resolves when an answer fits, within `deadline` ms. */
  answer(what: RegExp, options?: { url?: string; headers?: Record<string, string>; deadline?: number }): Promise<string>;
  /** The end of the output so far, as `from` of `waitFor`. */
  mark(): number;
}

export function copyOf(scope: Scope, name: string): string {
  const dir = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'ht-dev-')));
  cpSync(fixture(name), dir, { recursive: true });
  scope.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

export async function startDev(
  scope: Scope, name = 'dev-app', options: ClusterOptions & { edit?: (dir: string) => void } = {},
): Promise<Dev> {
  const dir = copyOf(scope, name);
  options.edit?.(dir);
  const cluster = await startCluster(scope, dir, { command: 'dev', title: false, ...options });
  const at = (file: string) => path.join(dir, file);
  const get = async (url = '/', headers: Record<string, string> = {}) =>
    (await once({ port: cluster.port }, 'GET', url, { headers })).body.toString();
  return {
    cluster,
    dir,
    get,
    write: (file, text) => writeFileSync(at(file), text),
    replace: (file, text) => {
      writeFileSync(at(`${file}.new~`), text);
      renameSync(at(`${file}.new~`), at(file));
    },
    async answer(what, { url, headers, deadline = 5_000 } = {}) {
      const until = performance.now() + deadline;
      let body = '';
      while (performance.now() < until) {
        try {
          body = await get(url, headers);
        } catch (error) {
          body = String(error);
        }
        if (what.test(body)) return body;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      throw new Error(
        `no answer like ${String(what)} within ${deadline} ms, the last one: ${body}\n--- output\n${cluster.output.slice(-6_000)}`,
      );
    },
    mark: () => cluster.output.length,
  };
}

/** The fixture with an empty version.js: what a plain write leaves for a moment. */
const TORN = 'version [object Object]\n';

/** Clients that ask again and again, on kept connections and on new ones, and remember the newest version that each saw. */
export class VersionLoad {
  readonly tally = new Tally();
  /** An older version after a newer one: an old worker answered after its time. */
  steppedBack = 0;
  /** Answers of an app that was read in the middle of a save which is not atomic. */
  torn = 0;
  readonly #loops: Promise<void>[];
  #stopping = false;

  constructor(port: number, { kept, fresh, pause = 2 }: { kept: number; fresh: number; pause?: number }) {
    this.#loops = [
      ...Array.from({ length: kept }, () => this.#loop(port, true, pause)),
      ...Array.from({ length: fresh }, () => this.#loop(port, false, pause)),
    ];
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#loops);
  }

  async #loop(port: number, keep: boolean, pause: number): Promise<void> {
    let connection: RawConnection | null = null;
    let newest = 0;
    while (!this.#stopping) {
      const started = performance.now();
      try {
        if (!connection?.usable) connection = new RawConnection({ port });
        const [answer] = connection.send(requestHead('GET', '/', keep ? {} : { Connection: 'close' }), ['GET'], 10_000);
        const { status, body } = await answer!;
        const version = Number(/^version (\d+)$/m.exec(body.toString())?.[1]);
        if (status === 200 && body.toString() === TORN) this.torn++;
        else if (status !== 200 || Number.isNaN(version)) throw new Lost('wrong', `${status} ${body.toString().slice(0, 300)}`);
        if (version < newest) this.steppedBack++;
        newest = Math.max(newest, version || 0);
        this.tally.answered(performance.now() - started);
      } catch (error) {
        this.tally.lose(error);
      }
      if (!keep) connection?.destroy();
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
    connection?.destroy();
  }
}
