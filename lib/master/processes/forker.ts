import { existsSync } from 'node:fs';
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises';
import type { ForkSpec, Hooks } from '../../api/hooks.js';
import type { Deadlines } from '../../api/plugin.js';
import { isNamed, originOf } from '../../config/provenance.js';
import { valid } from '../../ipc/intake.js';
import { MARK, WARM, type Adoption, type BootInfo, type ChildRole, type Warmth } from '../../ipc/messages.js';
import type { Faults } from '../../kit/faults.js';
import type { LogFiles } from '../../kit/log-files.js';
import type { Listeners } from '../connections/listeners.js';
import type { Room } from '../connections/room.js';
import type { ChildOutput } from '../child-output.js';
import type { Installation } from '../installation.js';
import type { Life } from '../life.js';
import type { Parts } from '../plugins/parts.js';
import { entryOf, variantOf, type Release } from '../releases.js';
import { Child, type ForkListener } from './child.js';
import { checkSpec, startProcess, type ForkPlace, type Forked, type StartProcess } from './forked.js';
import { childWords, early, holdsPort, inspectArgv, inheritedExecArgv } from './exec-argv.js';
import type { Leftovers } from './leftovers.js';
import type { Reaper } from './reaper.js';
import type { ServedBefore } from './served-before.js';
import { NO_SLOT, preloads, type Spares } from './spares.js';

/** What a fork needs of the master; the same objects as in the core. */
export interface ForkerNeeds {
  readonly hooks: Hooks;
  readonly deadlines: Deadlines;
  readonly listeners: Listeners;
  readonly room: Pick<Room, 'fork'>;
  readonly reaper: Reaper;
  readonly leftovers: Leftovers;
  readonly spares: Spares;
  readonly installation: Installation;
  readonly parts: Parts;
  readonly served: ServedBefore;
  readonly logFiles: LogFiles;
  readonly childOutput: ChildOutput;
  readonly inheritedSockets: Record<string, number>;
  readonly life: Pick<Life, 'closing'>;
  readonly faults: Faults;
}

/** setTimeout's limit, ms. */
const LONGEST = 2 ** 31 - 1;
/** How long forks may hold up one turn of the loop, ms. */
const HOLDS_UP = 20;
/** A signal to all, as service managers and scripts send it, reaches the processes one after the other, within this time; ms. */
const SAME_SIGNAL = 100;

export interface ForkHow {
  /** It is to load the app, and to wait. */
  standby?: boolean;
  /** One that has waited, for this place. */
  fill?: (spec: ForkSpec) => Promise<Child | null> | null;
  /** It comes up at once, and runs code of others than ours after this. */
  after?: Promise<unknown>;
}

/** Starts processes of a release: the gate hooks, the process, its Child, the hooks that observe. */
export class Forker {
  readonly #needs: ForkerNeeds;
  readonly #start: StartProcess;
  readonly #counters: Record<ChildRole, number> = { agent: 0, worker: 0 };
  /** performance.now() of the first fork in this turn of the loop. */
  #forksSince: number | null = null;

  constructor(needs: ForkerNeeds, start: StartProcess = startProcess) {
    this.#needs = needs;
    this.#start = start;
  }

  /** Rejects when a gate says no, or the listener, as nobody wants it any more. `slot`: -1 for the agent. */
  async fork(role: ChildRole, slot: number, release: Release, listener: ForkListener, how: ForkHow = {}): Promise<Child> {
    const { hooks, spares } = this.#needs;
    const { standby = false, fill, after } = how;
    const spec = specOf(role, slot, release, standby);
    const hook = role === 'agent' ? 'beforeForkAgent' : 'beforeForkWorker';
    await hooks[hook].promise(spec);
    checkSpec(spec, release, hook, hooks[hook].taps.map(({ name }) => name));
    const own = variantOf(release, spec);
    spec.dir = own.loaded.target.realDir;
    // What is preloaded is others' code, an inspector has one port, and who is adopted serves at once.
    const held = after !== undefined && !preloads(spec) && hooks.fillSlot.taps.length === 0;
    if (after && !held) await after;
    const filling = fill?.(spec);
    const filled = filling && await filling;
    if (filled) return filled;
    while (this.#heldUp()) await turn();
    listener.starts();
    const place = this.#place(own);
    const boot = { ...this.#boot(spec, own, place.root), held };
    const key = role === 'worker' && !standby ? spares.keyFor(spec, place) : null;
    const forked = (key !== null && spares.take(spec, key)) || this.#launch(spec, place, own);
    try {
      const child = this.#childOf(forked, boot, spec, own, listener);
      if (held) this.#release(child, after, own);
      if (key !== null) this.#prepareNext(child, spec, key, own);
      (role === 'agent' ? hooks.agentForked : hooks.workerForked).call(child);
      return child;
    } catch (error) {
      // Nobody would know of it.
      void forked.kill();
      throw error;
    }
  }

  placeIn(slot: number, release: Release): { adoption: Adoption; listen: BootInfo['listen'] } {
    const listen = this.#listen('worker', slot, release);
    return { adoption: { slot, processTitle: titleOf(release, 'worker', slot), expected: listen.expected }, listen };
  }

  /**
   * A fork holds up the loop, for some milliseconds or, on a machine that is short of memory, for a third of a second. Of many
   * (docs/scale.md) the next ones have another turn, before which the others, clients and commands are heard.
   */
  #heldUp(): boolean {
    if (this.#forksSince !== null) return performance.now() - this.#forksSince > HOLDS_UP;
    this.#forksSince = performance.now();
    setImmediate(() => { this.#forksSince = null; });
    return false;
  }

  #childOf(forked: Forked, boot: BootInfo, spec: ForkSpec, { loaded: { config } }: Release, listener: ForkListener): Child {
    const { listeners, reaper, life, faults } = this.#needs;
    const { pid } = forked.process;
    // Before it is told what to run: if that loops, nobody else could end it once the master is gone.
    if (pid !== undefined) reaper.add(pid);
    holdsPort(spec.execArgv, forked.process);
    // Under --inspect-brk a child waits for a person.
    const child = new Child(forked, boot, listener, config.inspectBrk === false ? config.startTimeout : LONGEST, faults);
    child.channel.on('child.mayLeave', () => delay(SAME_SIGNAL).then(() => !life.closing), valid['child.mayLeave']);
    // Where descriptors are used up there is not even a channel to watch.
    if (boot.role === 'worker' && pid !== undefined) listeners.watch(child);
    if (pid !== undefined) faults.watch('reaper', child.exited.then(() => reaper.drop(pid)));
    return child;
  }

  /** Its time to start begins then. One that is not wanted until then is ended by who waits for it. */
  #release(child: Child, after: Promise<unknown>, { loaded: { config } }: Release): void {
    child.time.disarm();
    const go = () => {
      if (child.state !== 'forked' && child.state !== 'booting') return;
      child.channel.send('child.go', null);
      if (config.inspectBrk === false) child.time.arm(config.startTimeout, () => void child.kill('startTimeout'));
    };
    this.#needs.faults.watch('hold', after.then(go, () => {}));
  }

  #prepareNext(child: Child, spec: ForkSpec, key: string, release: Release): void {
    const { spares, faults } = this.#needs;
    const settled = Promise.race([child.becameReady, child.exited]);
    // Its place is looked up when it comes to be: log files may have been opened anew by then.
    const spare = () => {
      const place = this.#place(release);
      const parts = this.#needs.parts.of('worker', release.loaded.target.realDir, place.root).map(({ url }) => url);
      return this.#spare(spec, place, release, parts);
    };
    faults.watch('spare process', settled.then(() => spares.prepare(spec, key, spare)));
  }

  /**
   * The first workers wait for the agent: their processes come up meanwhile, empty, as spares. What they are forked from is
   * guessed; where a tap of beforeForkWorker has it otherwise, the guess is thrown away.
   */
  warm(count: number, release: Release): void {
    const place = this.#place(release);
    for (let slot = 0; slot < count; slot++) {
      const spec = specOf('worker', slot, release);
      this.#needs.spares.warm(spec, place, () => this.#spare(spec, place, release));
    }
  }

  /** There is something for an agent: its module, a framework, a plugin's part, or `agent: true`. */
  wantsAgent({ loaded: { target: { entry } } }: Release): boolean {
    return entry.agent !== undefined || entry.framework !== undefined || this.#needs.parts.wantAgent;
  }

  /** It is told the entry, to start a TypeScript loader for it. */
  #spare(spec: ForkSpec, place: ForkPlace, release: Release, parts?: string[]): Forked {
    const warmth: Warmth = { entry: release.loaded.target.entry.app ?? '', ...(parts ? { parts } : {}) };
    return this.#launch({ ...spec, env: { ...spec.env, [WARM]: JSON.stringify(warmth) } }, place, release);
  }

  /** The mark is none of what a spare has to fit: it is another one each time. */
  #launch(given: ForkSpec, place: ForkPlace, { loaded }: Release): Forked {
    const { leftovers, room } = this.#needs;
    const spec = preloads(given) ? { ...given, env: { ...given.env, ...early(given, place, loaded) } } : given;
    if (loaded.config.leaveChildren) return this.#heard(room.fork(() => this.#start(spec, place, () => true)));
    const mark = leftovers.mark(placeName(spec));
    const forked = this.#heard(room.fork(() => this.#start({ ...spec, env: { ...spec.env, [MARK]: mark } }, place, leftovers.isSpared)));
    const { process } = forked;
    process.once('exit', () => leftovers.ended(mark));
    process.once('error', () => { if (process.pid === undefined) leftovers.ended(mark); });
    return forked;
  }

  /** Its last lines come before what is said of its end. */
  #heard(forked: Forked): Forked {
    this.#needs.childOutput.take(forked.process);
    return forked;
  }

  /** An entry file runs where it was started, as long as that is there. */
  #place({ loaded: { target }, environment }: Release): ForkPlace {
    const { installation, logFiles, childOutput } = this.#needs;
    const cwd = target.cwd === target.realDir || existsSync(target.cwd) ? target.cwd : target.realDir;
    const print = logFiles.any ? childOutput.write.bind(childOutput) : undefined;
    return { cwd, root: installation.root(target.realDir), stdio: logFiles.stdio(), environment, print };
  }

  /** All that a child is told. */
  #boot(spec: ForkSpec, release: Release, root: string): BootInfo {
    const { role, slot } = spec;
    const { deadlines, logFiles, parts } = this.#needs;
    const { generation, loaded: { config, target } } = release;
    const { log: { level, format } } = config;
    return {
      role,
      id: ++this.#counters[role],
      slot,
      standby: spec.standby,
      generation,
      processTitle: titleOf(release, role, spec.standby ? NO_SLOT : slot),
      timeout: role === 'agent' ? deadlines.agent : deadlines.drain,
      streamTimeout: role === 'agent' ? deadlines.agent : deadlines.streams,
      baseDir: target.realDir,
      entry: entryOf(role, release),
      words: childWords(spec, release.loaded),
      parts: parts.of(role, target.realDir, root),
      listen: this.#listen(role, slot, release),
      log: { level, format, files: logFiles.throughMaster },
      config: { ...config },
      hasAgent: this.wantsAgent(release),
    };
  }

  #listen(role: ChildRole, slot: number, release: Release): BootInfo['listen'] {
    const { inheritedSockets, served } = this.#needs;
    const { loaded, loaded: { config: { port, host, path: file, https, server } } } = release;
    return {
      port, host, path: file, https,
      hostFromEnvironment: originOf(loaded.provenance, ['host']).from === 'env',
      hasServer: server,
      named: file !== undefined || isNamed(loaded, ['port']),
      expected: role === 'worker' ? served.expected(slot, release) : null,
      inherited: inheritedSockets,
    };
  }
}

const placeName = ({ role, slot }: Pick<ForkSpec, 'role' | 'slot'>): string =>
  role === 'agent' ? 'agent' : slot === NO_SLOT ? 'standby' : `worker#${slot}`;

const titleOf = ({ loaded: { config } }: Release, role: ChildRole, slot: number): string => `${config.title}: ${placeName({ role, slot })}`;

function specOf(role: ChildRole, slot: number, release: Release, standby = false): ForkSpec {
  const { generation, loaded: { config, target } } = release;
  const entry = entryOf(role, release);
  const preloads = [...config.require.flatMap((one) => ['--require', one]), ...config.import.flatMap((one) => ['--import', one])];
  return {
    role,
    slot,
    standby,
    entry: entry.kind === 'none' ? null : entry.file,
    dir: target.realDir,
    generation,
    env: {
      PORT: config.path ?? String(config.port),
      ...(config.host ? { HOST: config.host } : {}),
      ...(slot >= 0 ? { CLUSTER_SLOT: String(slot) } : {}),
      ...config.env,
    },
    execArgv: [...inheritedExecArgv(), ...inspectArgv(config, role, slot), ...config.execArgv, ...preloads],
  };
}
