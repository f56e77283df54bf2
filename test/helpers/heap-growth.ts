import { existsSync, readFileSync, rmSync } from 'node:fs';
import type { TestCluster } from './cluster.js';

interface Snapshot {
  snapshot: { meta: { node_fields: string[]; node_types: [string[]]; edge_types: [string[]] } };
  nodes: number[];
  edges: number[];
  strings: string[];
}

/** Of what there is more than before, and where it is held: the names on the shortest way to the most of it. */
export interface Grown {
  /** `object Child`; of texts and of what lists and maps consist of, where they are held. */
  what: string;
  more: number;
  bytes: number;
  held: string;
}

/** Numbers of an edge: its kind, its name, and where its node begins. */
const EDGE = 3;
/** Named by what they are; what is held of others is named by the place. */
const THINGS: ReadonlySet<string> = new Set(['object', 'closure', 'native', 'regexp', 'bigint']);
/**
 * Bytes that a list or a map takes for one more, at least; and what they may become longer by, as they have room for more than is in
 * them. What they list is counted by itself.
 */
const POINTER = 8;
const ROOM = 2_048;
/** Where V8 keeps what it has computed, such as the texts of numbers; and a WeakMap's room for what came between two collections. */
const OWN = /^\((?:[a-z]+ )?string\)(?: (?:> )?\[\])*$|\(WeakMap\) > table$/;
/** Steps of a way that are shown, and those that name what has no name. */
const SHOWN = 8;
const NAMING = 3;
/** What belongs to code comes as that runs, and nothing of the program is held by it alone: what is found through it is not counted. */
const OF_CODE: ReadonlySet<string> = new Set(['code', 'object shape']);

interface Sum { more: number; bytes: number; ways: Map<string, number> }

const mostly = (ways: ReadonlyMap<string, number>): string =>
  [...ways].sort(([, a], [, b]) => b - a).slice(0, 2).map(([way, count]) => `${count} at ${way}`).join(', ');

/**
 * What a process holds, from a heap snapshot. V8 gives a node the same number in each snapshot of a process, so that of two of them it
 * can be told which nodes are new.
 */
export class Heap {
  readonly #snapshot: Snapshot;
  readonly #width: number;
  readonly #at: Readonly<Record<string, number>>;
  /** For each node the edge that it was first reached by, and the node where that begins; -1: it was not. By its number in the list. */
  readonly #by: Int32Array;
  readonly #from: Int32Array;

  constructor(snapshot: Snapshot) {
    const fields = snapshot.snapshot.meta.node_fields;
    this.#snapshot = snapshot;
    this.#width = fields.length;
    this.#at = Object.fromEntries(fields.map((field, at) => [field, at]));
    const count = snapshot.nodes.length / this.#width;
    this.#by = new Int32Array(count).fill(-1);
    this.#from = new Int32Array(count).fill(-1);
    this.#walk(count);
  }

  /** KiB of all that is counted. */
  get kib(): number {
    return Math.round([...this.#ids().values()].reduce((sum, node) => sum + this.#bytes(node), 0) / 1024);
  }

  /** Of what there is more now, those with the most more first: at least `least` more. */
  grownSince(before: Heap, least: number): Grown[] {
    const [here, there] = [this.#ids(), before.#ids()];
    const sums = new Map<string, Sum>();
    const add = (what: string, count: number, bytes: number, way: string): void => {
      const sum = sums.get(what) ?? { more: 0, bytes: 0, ways: new Map<string, number>() };
      sums.set(what, { more: sum.more + count, bytes: sum.bytes + bytes, ways: sum.ways.set(way, (sum.ways.get(way) ?? 0) + count) });
    };
    for (const [id, node] of here) {
      const was = there.get(id);
      // One that was there may have become longer.
      if (was === undefined) add(this.#what(node), 1, this.#bytes(node), this.#way(node));
      else if (this.#bytes(node) !== before.#bytes(was)) add(this.#what(node), 0, this.#bytes(node) - before.#bytes(was), this.#way(node));
    }
    for (const [id, node] of there) if (!here.has(id)) add(before.#what(node), -1, -before.#bytes(node), before.#way(node));
    return [...sums]
      .filter(([what, { more, bytes }]) =>
        !OWN.test(what) && (what.startsWith('(array)') ? bytes >= Math.max(least * POINTER, ROOM) : more >= least))
      .sort(([, a], [, b]) => b.bytes - a.bytes)
      .map(([what, { more, bytes, ways }]) => ({ what, more, bytes, held: mostly(ways) }));
  }

  /** In breadth, from the roots, past what belongs to code. */
  #walk(count: number): void {
    const { nodes, edges, snapshot: { meta } } = this.#snapshot;
    const kinds = meta.edge_types[0];
    const begins = new Int32Array(count + 1);
    for (let node = 0; node < count; node++) begins[node + 1] = begins[node]! + nodes[node * this.#width + this.#at.edge_count!]! * EDGE;
    this.#from[0] = 0;
    const queue = [0];
    for (let next = 0; next < queue.length; next++) {
      const node = queue[next]!;
      if (this.#isOfCode(node)) continue;
      for (let edge = begins[node]!; edge < begins[node + 1]!; edge += EDGE) {
        const kind = kinds[edges[edge]!];
        const to = edges[edge + 2]! / this.#width;
        if (kind === 'weak' || kind === 'shortcut' || this.#from[to] !== -1) continue;
        this.#from[to] = node;
        this.#by[to] = edge;
        queue.push(to);
      }
    }
  }

  #isOfCode(node: number): boolean {
    return OF_CODE.has(this.#kind(node)) || this.#name(node).startsWith('system / Allocation');
  }

  /** What was reached, by V8's number. */
  #ids(): Map<number, number> {
    const ids = new Map<number, number>();
    for (let node = 0; node < this.#from.length; node++) {
      const kind = this.#kind(node);
      if (this.#from[node] === -1 || this.#isOfCode(node) || kind === 'hidden' || kind === 'synthetic') continue;
      ids.set(this.#field(node, 'id'), node);
    }
    return ids;
  }

  #what(node: number): string {
    const kind = this.#kind(node);
    if (THINGS.has(kind)) return `${kind} ${this.#name(node).slice(0, 80)}`;
    // The shortest way to the same thing may be another one in another snapshot: only its end names it.
    return `(${kind}) ${this.#way(node, NAMING)}`;
  }

  /** Alike for what a list or a map holds at different places. */
  #way(node: number, most = SHOWN): string {
    const steps: string[] = [];
    for (let at = node; at !== 0 && steps.length < most; at = this.#from[at]!) steps.unshift(this.#step(at));
    return steps.join(' > ');
  }

  #step(node: number): string {
    const edge = this.#by[node]!;
    const { edges, strings, snapshot: { meta } } = this.#snapshot;
    const kind = meta.edge_types[0][edges[edge]!]!;
    const name = kind === 'element' || kind === 'hidden' ? '[]' : strings[edges[edge + 1]!]!.replace(/\d+/g, '[]').slice(0, 60);
    return this.#kind(node) === 'object' ? `${name} (${this.#name(node).slice(0, 40)})` : name;
  }

  #kind = (node: number): string => this.#snapshot.snapshot.meta.node_types[0][this.#field(node, 'type')]!;

  #name = (node: number): string => this.#snapshot.strings[this.#field(node, 'name')]!;

  #bytes = (node: number): number => this.#field(node, 'self_size');

  #field = (node: number, name: string): number => this.#snapshot.nodes[node * this.#width + this.#at[name]!]!;
}

/** From a snapshot that `v8.writeHeapSnapshot` has written. */
export const readHeap = (file: string): Heap => new Heap(JSON.parse(readFileSync(file, 'utf8')) as Snapshot);

/** What the master holds, of a cluster with the plugin heap-snapshot (fixtures/plugins) that writes it into `file`. */
export async function heapOf(cluster: TestCluster, file: string, deadline = 60_000): Promise<Heap> {
  rmSync(file, { force: true });
  cluster.signal('SIGUSR2');
  await cluster.waitFor(() => existsSync(file), deadline);
  return readHeap(file);
}
