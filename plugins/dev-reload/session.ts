import { statSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { ChildView, ExitInfo, Master } from '../../lib/index.js';
import { AgentCode } from './agent-code.js';
import { configChanges } from './config-changes.js';
import { childFailure, errorFailure, failureText, listed, startFailure, type Failure } from './failure.js';
import type { DevReloadOptions } from './options.js';
import type { PageServer } from './page-server.js';
import { Saves } from './saves.js';
import type { Terminal } from './terminal.js';
import type { Uses } from './uses.js';

/** Whoever waits for a start that takes longer hears of it, ms. */
const SLOW = 3_000;
/** Whoever waits in a browser sees a page after this, ms. */
const VERY_SLOW = 10_000;
/** Between two looks at what it does, ms. */
const AGAIN = 500;
/** Starts in a row that newer changes may cut short; the next one runs to its end, but no longer than this, ms. */
const CUT_SHORT = 2;
const TO_ITS_END = 10_000;
/** What others who watch files ask for so soon after a save is asked because of it, ms. */
const SAME_SAVE = 1_000;
/** Files that are saved a moment apart are waited for no longer than this, ms. */
const GATHERS = 1_000;

/** From a change to its answer: one reload at a time, the last content always wins, a failure is shown until the next one works. */
export class Session {
  readonly saves: Saves;
  /** Saved, and the code that runs does not know. */
  readonly #files = new Set<string>();
  readonly #uses: Uses;
  readonly #agentCode: AgentCode;
  readonly #master: Master;
  readonly #options: DevReloadOptions;
  readonly #terminal: Terminal;
  readonly #page: PageServer;
  #asked: { reason: string; agent: boolean } | null = null;
  /** When a save was seen that reloads, `performance.now()`. */
  #savedAt = -SAME_SAVE;
  #running: AbortController | null = null;
  /** What is being reloaded, as long as nothing of the new code has run: what is saved now belongs to it. */
  #gathered: string[] | null = null;
  #since = 0;
  #cutShort = 0;
  #failure: Failure | null = null;
  #slow: NodeJS.Timeout | undefined;
  readonly #begin: () => unknown;
  readonly #tell: (failure: Failure) => unknown;

  constructor(
    master: Master, options: DevReloadOptions, { terminal, page, uses }: { terminal: Terminal; page: PageServer; uses: Uses },
  ) {
    this.#master = master;
    this.#options = options;
    this.#terminal = terminal;
    this.#page = page;
    this.#uses = uses;
    this.#agentCode = new AgentCode(master, uses);
    this.#begin = master.guard('reload', () => this.#run());
    this.#tell = master.guard('telling a failure', (failure: Failure) => this.#fail(failure));
    this.saves = new Saves(master, {
      uses, debounce: options.debounce, warn: (line) => terminal.warn(line), saved: (files) => this.#saved(files),
    });
  }

  get dir(): string {
    return this.#master.target.realDir;
  }

  /** Nobody serves, and nobody is about to. */
  get failing(): boolean {
    return this.#failure !== null;
  }

  #saved(files: string[]): void {
    this.#savedAt = performance.now();
    const gathered = this.#gathered;
    if (gathered && !this.#isMore(files)) {
      // Without a word: what we print may be what has changed.
      gathered.push(...files.filter((file) => !gathered.includes(file)));
      return;
    }
    for (const file of files) this.#files.add(file);
    this.#cutShortAndBegin();
  }

  /** More than workers that have run nothing yet will read. */
  #isMore(files: readonly string[]): boolean {
    return files.some((file) => this.#master.files.includes(file) || this.#isReadEarly(file)) || this.#agentCode.concerns(files);
  }

  /** A TypeScript loader has read it when it was started, as a process that waits has read what is preloaded. */
  #isReadEarly(file: string): boolean {
    return /[\\/]tsconfig[^\\/]*\.json$/.test(file) || this.#uses.isEarly(file);
  }

  /** Before anything of the new code runs: files that were saved a moment apart are one save. */
  async #gather(): Promise<void> {
    const until = performance.now() + GATHERS;
    for (let still = this.saves.still(); still && performance.now() < until; still = this.saves.still()) await still;
    this.#gathered = null;
  }

  #cutShortAndBegin(): void {
    // Nothing newer cuts short for ever what has not ended once.
    const mayCut = this.#cutShort < CUT_SHORT || performance.now() - this.#since > TO_ITS_END;
    if (this.#running && mayCut) {
      this.#cutShort++;
      this.#running.abort();
    }
    void this.#begin();
  }

  /** A reload without a change, as a person wants it: of all. */
  ask(reason: string): void {
    this.#asked = { reason, agent: true };
    this.#running?.abort();
    void this.#begin();
  }

  /** The message `reload-worker`: of the workers, as it says. Egg's development plugin sends one for each file that is saved. */
  askForWorkers(): void {
    if (performance.now() - this.#savedAt < SAME_SAVE) return;
    this.#asked ??= { reason: 'reload-worker', agent: false };
    this.#cutShortAndBegin();
  }

  /** A child ended by itself: no new one before the next change. */
  crashed(child: ChildView, exit: ExitInfo): void {
    if (this.#running) return;
    void this.#tell(childFailure(child, exit, this.dir));
  }

  /** Before anybody was ever ready. */
  startFailed(error: Error): void {
    this.#stopWaiting();
    this.saves.finished();
    // Given up for newer code, it is no failure of the app.
    const isGivenUp = this.#running !== null || this.saves.pending || this.#files.size > 0;
    if (!isGivenUp) void this.#tell(this.#lastExit ?? startFailure(error, this.dir));
  }

  /** Somebody can answer again, however that came about. */
  recovered(): void {
    this.#stopWaiting();
    this.#failure = null;
    this.#address();
    this.#master.takeUnserved(null);
    this.#page.release();
  }

  /** Kept for the failure that is about to be told: the child knows more than the error that its end becomes. */
  exited(child: ChildView, exit: ExitInfo): void {
    if (child.readyAt === null && child.intent !== 'abort') this.#lastExit = childFailure(child, exit, this.dir);
  }
  #lastExit: Failure | null = null;

  /** Says so when a start takes long; the page waits with the browser then. */
  expectReady(): void {
    this.#stopWaiting();
    this.#lastExit = null;
    // With --inspect-brk it waits for a person.
    if (this.#master.config.inspectBrk !== false) return;
    this.#slow = setTimeout(this.#master.guard('a slow start', () => this.#tellSlow()), SLOW).unref();
  }

  /** Requests wait for an app that is merely slow; one that loops is shown as soon as that is sure. */
  async #tellSlow(): Promise<void> {
    const waiting = this.#slow;
    const began = performance.now();
    const { whereItLoops } = await import('./standstill.js');
    for (let first = true, late = false; !late; first = false) {
      const starting = this.#master.children().find(({ state }) => state === 'forked' || state === 'booting');
      const stack = starting && this.#master.config.inspect === false ? await whereItLoops(starting.pid) : null;
      if (this.#slow !== waiting || this.#master.closing) return;
      late = performance.now() - began > VERY_SLOW - SLOW;
      const why = stack ? 'it is busy here, in a loop perhaps' : 'its start is slow, or hangs, or it never listens';
      const message = `not ready after ${SLOW / 1_000} s: ${why}`;
      const failure = errorFailure('The app is starting', '', { name: '', message, stack: stack ?? '' }, this.dir);
      if (stack || late) await this.#show(failure);
      else if (first) await this.#open();
      if (stack || first) this.#terminal.warn(`${failureText(failure)}\na save starts it again`);
      if (stack) return;
      await delay(AGAIN);
    }
  }

  #stopWaiting(): void {
    clearTimeout(this.#slow);
    this.#slow = undefined;
  }

  end(): void {
    this.saves.stop();
    this.#stopWaiting();
    this.#page.news();
  }

  async #run(): Promise<void> {
    if (this.#running) return;
    while ((this.#files.size > 0 || this.#asked !== null) && !this.#master.closing) {
      this.#running = new AbortController();
      this.#since = performance.now();
      await this.#reload(this.#running.signal);
      this.#running = this.#gathered = null;
    }
  }

  async #reload(signal: AbortSignal): Promise<void> {
    const master = this.#master;
    const started = performance.now();
    const files = [...this.#files];
    this.#files.clear();
    const why = { files: listed(files, this.dir), asked: this.#asked?.reason ?? '' };
    const reason = why.files ? `changed: ${why.files}` : why.asked;
    if (this.#asked?.agent) this.#agentCode.outdate();
    else this.#agentCode.changed(files);
    this.#asked = null;
    this.#terminal.begins(why);
    master.takeUnserved(null);
    const before = master.config;
    try {
      await this.#endStart();
      if (files.some((file) => this.#isReadEarly(file))) master.spares.discard();
      // Caught between an editor's truncation and its write.
      if (files.some((file) => statSync(file, { throwIfNoEntry: false })?.size === 0)) await delay(this.#options.debounce);
      this.expectReady();
      this.saves.started();
      const agent = this.#agentCode.isOld;
      const keepOld = this.#options.serveWhileReloading === 'old' && master.slots.some(({ ready }) => ready);
      if (!keepOld) this.#gathered = files;
      await (keepOld ? master.reload(reason, { agent }) : master.restart(reason, { agent, signal, hold: () => this.#gather() }));
      this.#ended();
      for (const { text, needsRestart } of configChanges(before, master.config)) {
        if (needsRestart) this.#terminal.warn(`config: ${text}: start again for this to take effect`);
        else this.#terminal.info(`config: ${text}`);
      }
      this.recovered();
      this.#terminal.reloaded({ ...why, files: listed(files, this.dir) }, Math.round(performance.now() - started));
    } catch (error) {
      this.#stopWaiting();
      if (signal.aborted || master.closing) return;
      this.#ended();
      await this.#fail(this.#lastExit ?? startFailure(error as Error, this.dir));
    }
  }

  #ended(): void {
    this.#cutShort = 0;
    this.saves.finished();
  }

  /** A start that is still under way, or hangs, is given up for the new code. */
  async #endStart(): Promise<void> {
    const master = this.#master;
    if (!master.started) this.#cutShort++;
    while (!master.started && !master.closing) {
      for (const child of master.children()) if (child.state !== 'ready') void master.kill(child, 'abort');
      await delay(5);
    }
  }

  async #fail(failure: Failure): Promise<void> {
    this.#failure = failure;
    await this.#show(failure);
    const where = this.#master.config.server ? `; ${this.#address()} shows this too` : '';
    this.#terminal.bad(`${failureText(failure)}\nwaiting for the next change${where}`);
  }

  async #show(failure: Failure): Promise<void> {
    await this.#page.show(failure);
    await this.#open();
    if (this.#failure === failure || this.#failure === null) this.#master.takeUnserved((client, again) => this.#page.take(client, again));
  }

  /** Where no worker has come so far as to listen, nobody does. */
  async #open(): Promise<void> {
    await this.#master.listenForWorkers().catch((error: Error) => this.#terminal.warn(`no page for the browser: ${error.message}`));
  }

  #address(): string {
    const { config: { https, host, port, path } } = this.#master;
    this.#known = this.#master.address ?? this.#known;
    return this.#known ?? (path === undefined ? `${https ? 'https' : 'http'}://${host ?? '127.0.0.1'}:${port}` : `unix:${path}`);
  }
  #known: string | null = null;
}
