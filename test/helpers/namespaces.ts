import { spawnSync } from 'node:child_process';
import type { Scope } from './cluster.js';
import { unsuited } from './skips.js';

const ip = (...words: string[]): boolean => spawnSync('ip', words, { stdio: 'ignore' }).status === 0;
const must = (...words: string[]): void => {
  const { status, stderr } = spawnSync('ip', words, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`ip ${words.join(' ')}: ${stderr}`);
};

/** Why none can be made here; false: they can. */
export const noNamespaces: string | false = (() => {
  const name = `ht-${process.pid}-try`;
  const can = process.platform === 'linux' && ip('netns', 'add', name)
    && ip('link', 'add', `ht${process.pid}`, 'type', 'veth', 'peer', 'name', 'one', 'netns', name);
  // What is at its other end goes with it.
  ip('netns', 'del', name);
  return can ? false : unsuited.namespaces;
})();

let serial = 0;

/**
 * A host with a network of its own, and two cables to this one: by the one its site is asked, by the other it reaches what
 * listens here, until that is pulled. Gone at the end of the test.
 */
export class NetworkHost {
  readonly #name: string;
  readonly #cable: string;
  /** What runs a command there, before it. */
  readonly within: readonly string[];
  /** Its own address, and that of this host by the other cable. */
  readonly address: string;
  readonly here: string;

  constructor(scope: Scope) {
    const at = serial++;
    // A process is one of 250 or so at a time; a second of the same number finds its addresses taken, and fails.
    const net = `10.${100 + process.pid % 100}`;
    this.#name = `ht-${process.pid}-${at}`;
    this.#cable = `hr${process.pid % 100_000}-${at}`;
    const site = `hs${process.pid % 100_000}-${at}`;
    this.within = ['ip', 'netns', 'exec', this.#name];
    this.address = `${net}.${2 * at}.2`;
    this.here = `${net}.${2 * at + 1}.1`;
    must('netns', 'add', this.#name);
    scope.after(() => {
      for (const cable of [site, this.#cable]) ip('link', 'del', cable);
      ip('netns', 'del', this.#name);
    });
    must('-n', this.#name, 'link', 'set', 'lo', 'up');
    for (const [cable, subnet, inner] of [[site, 2 * at, 'site'], [this.#cable, 2 * at + 1, 'redis']] as const) {
      must('link', 'add', cable, 'type', 'veth', 'peer', 'name', inner, 'netns', this.#name);
      must('addr', 'add', `${net}.${subnet}.1/24`, 'dev', cable);
      must('link', 'set', cable, 'up');
      must('-n', this.#name, 'addr', 'add', `${net}.${subnet}.2/24`, 'dev', inner);
      must('-n', this.#name, 'link', 'set', inner, 'up');
    }
  }

  pull(): void {
    must('link', 'set', this.#cable, 'down');
  }

  plug(): void {
    must('link', 'set', this.#cable, 'up');
  }
}
