import { fork as forkProcess } from 'node:child_process';
import cluster from 'node:cluster';
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { ForkSpec, Hooks } from '../../api/hooks.js';
import type { Deadlines } from '../../api/plugin.js';
import { isNamed, originOf } from '../../config/provenance.js';
import { MARK, WARM, type Adoption, type BootInfo, type ChildRole } from '../../ipc/messages.js';
import type { Faults } from '../../kit/faults.js';
import type { LogFiles } from '../../kit/log-files.js';
import { killTree } from '../../kit/processes.js';
import { withOwnPipes } from '../../node/own-output.js';
import type { Listeners } from '../connections/listeners.js';
import type { Room } from '../connections/room.js';
import type { ChildOutput } from '../child-output.js';
import type { Installation } from '../installation.js';
import type { Parts } from '../plugins/parts.js';
import { entryOf, variantOf, type Release } from '../releases.js';
import { Child, type ForkListener } from './child.js';
import { checkSpec, type ForkPlace, type Forked } from './forked.js';
import { childWords, early, holdsPort, inspectArgv, inheritedExecArgv, portIn } from './exec-argv.js';
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
  readonly faults: Faults;
}

/** setTimeout's limit, ms. */
const LONGEST = 2 ** 31 - 1;

/** Starts one process, whose `kill` leaves `spared` ones of its own alone; a unit test's has none behind it (fake-forker.ts). */
export type StartProcess = (spec: ForkSpec, place: ForkPlace, spared: (pid: number) => boolean) => Forked;

export interface ForkHow {
  /** It is to load the app, and to wait. */
  standby?: boolean;
  /** One that has waited, for this place. */
  fill?: (spec: ForkSpec) => Promise<Child | null> | null;
}

/** Starts processes of a release: the gate hooks, the process, its Child, the hooks that observe. */
export class Forker {
  readonly #needs: ForkerNeeds;
  readonly #start: StartProcess;
  readonly #counters: Record<ChildRole, number> = { agent: 0, worker: 0 };

  constructor(needs: ForkerNeeds, start: StartProcess = startProcess) {
    this.#needs = needs;
    this.#start = start;
  }

  /** Rejects when a gate says no, or the listener, as nobody wants it any more. `slot`: -1 for the agent. */
  async fork(role: ChildRole, slot: number, release: Release, listener: ForkListener, how: ForkHow = {}): Promise<Child> {
    const { hooks, spares } = this.#needs;
    const { standby = false, fill } = how;
    const spec = specOf(role, slot, release, standby);
    const hook = role === 'agent' ? 'beforeForkAgent' : 'beforeForkWorker';
    await hooks[hook].promise(spec);
    checkSpec(spec, release, hook, hooks[hook].taps.map(({ name }) => name));
    const own = variantOf(release, spec);
    spec.dir = own.loaded.target.realDir;
    const filling = fill?.(spec);
    const filled = filling && await filling;
    if (filled) return filled;
    listener.starts();
    const place = this.#place(own);
    const boot = this.#boot(spec, own, place.root);
    const key = role === 'worker' && !standby ? spares.keyFor(spec, place) : null;
    const forked = (key !== null && spares.take(spec, key)) || this.#launch(spec, place, own);
    try {
      const child = this.#childOf(forked, boot, spec, own, listener);
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

  #childOf(forked: Forked, boot: BootInfo, spec: ForkSpec, { loaded: { config } }: Release, listener: ForkListener): Child {
    const { listeners, reaper, faults } = this.#needs;
    const { pid } = forked.process;
    // Before it is told what to run: if that loops, nobody else could end it once the master is gone.
    if (pid !== undefined) reaper.add(pid);
    holdsPort(spec.execArgv, forked.process);
    // Under --inspect-brk a child waits for a person.
    const child = new Child(forked, boot, listener, config.inspectBrk === false ? config.startTimeout : LONGEST, faults);
    // Where descriptors are used up there is not even a channel to watch.
    if (boot.role === 'worker' && pid !== undefined) listeners.watch(child);
    if (pid !== undefined) faults.watch('reaper', child.exited.then(() => reaper.drop(pid)));
    return child;
  }

  #prepareNext(child: Child, spec: ForkSpec, key: string, release: Release): void {
    const { spares, faults } = this.#needs;
    const settled = Promise.race([child.becameReady, child.exited]);
    // Its place is looked up when it comes to be: log files may have been opened anew by then.
    const spare = () => this.#spare(spec, this.#place(release), release);
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
  #spare(spec: ForkSpec, place: ForkPlace, release: Release): Forked {
    const { target } = release.loaded;
    return this.#launch({ ...spec, env: { ...spec.env, [WARM]: target.entry.app ?? '' } }, place, release);
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

/** Standard streams, Node's IPC, and our own pipe at CHANNEL_FD. */
const streams = ({ stdio }: ForkPlace) => ['ignore', stdio.out, stdio.err, 'ipc', 'pipe'] as ('ignore' | 'ipc' | 'pipe' | number)[];

const startProcess: StartProcess = (spec, place, spared) => withOwnPipes(place.stdio, (stdio) => {
  const fork = spec.role === 'agent' ? forkAgent : forkWorker;
  return fork(spec, { ...place, stdio }, spared);
});

const mainOf = ({ role }: ForkSpec, { root }: ForkPlace): string => path.join(root, `dist/lib/child/${role}-main.cjs`);

const forkWorker: StartProcess = (spec, place, spared) => {
  cluster.setupPrimary({
    exec: mainOf(spec, place),
    args: [],
    execArgv: spec.execArgv,
    cwd: place.cwd,
    stdio: streams(place),
    // Whose process this is may have chosen the other one for workers of its own.
    serialization: 'json',
    windowsHide: true,
    // node:cluster counts debug ports up by itself unless it is told one.
    inspectPort: portIn(spec.execArgv),
  });
  const worker = cluster.fork({ ...place.environment, ...spec.env });
  return { process: worker.process, worker, kill: () => killTree(worker.process.pid, spared) };
};

const forkAgent: StartProcess = (spec, place, spared) => {
  const agent = forkProcess(mainOf(spec, place), [], {
    env: { ...process.env, ...place.environment, ...spec.env },
    execArgv: spec.execArgv,
    cwd: place.cwd,
    stdio: streams(place),
  });
  return { process: agent, worker: null, kill: () => killTree(agent.pid, spared) };
}
