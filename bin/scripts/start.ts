import { spawn } from 'node:child_process';
import { Socket } from 'node:net';
import path from 'node:path';
import { isAlive, listInstances, type InstanceRecord } from '../../lib/control/registry.js';
import { requestOf } from '../../plugins/egg/egg-options.js';
import { ownStart } from '../../plugins/egg/own-start.js';
import { ControlClient } from '../client.js';
import type { Argv, Context } from '../common-bin.js';
import type { MasterRequest } from '../master.js';
import { print } from '../output.js';
import { StartCommand } from '../commands/start.js';
import { settingsOf, SHOWN, startFlags, wordsOf, type Settings, type Words } from './settings.js';
import type { Flags } from '../flags.js';

/** `start` with the flags and habits of egg-scripts. */
export class ScriptsStartCommand extends StartCommand {
  readonly #line: readonly string[];
  readonly #words: Words;

  constructor(rawArgv: string[] = process.argv.slice(2)) {
    const words = wordsOf(rawArgv);
    super(words.known);
    this.#line = rawArgv;
    this.#words = words;
  }

  override get description(): string { return 'start an Egg application'; }

  override get takesArguments(): boolean { return false; }

  override get flags(): Flags { return startFlags; }

  override async start(): Promise<void> {
    if (this.#words.wrong) return this.errorHandler(this.#words.wrong);
    await super.start();
  }

  override async run({ argv }: Context): Promise<void> {
    const settings = settingsOf(argv, this.#words);
    const isDaemonItself = Boolean(process.env.HATCHERY_DAEMON);
    const isMaster = isDaemonItself || this.#line.some((word) => word.startsWith(SHOWN));
    if (!isMaster && (!settings.daemon || settings.node !== undefined)) {
      return this.#runWith(settings.node ?? process.execPath, this.#shown(settings, optionsOf(settings)));
    }
    endWithStarter();
    prepareEnvironment(settings);
    if (!isDaemonItself) await othersGone();
    const given = await ownStart(settings.framework, optionsOf(settings), settings.frameworkName);
    const request = this.#requestFor(settings, given);
    if (isDaemonItself || !settings.daemon) {
      if (!isDaemonItself) this.#say(settings, given);
      const { runMaster } = await import('../master.js');
      process.exit(await runMaster(request));
    }
    this.#say(settings, given);
    const { launchAsScripts } = await import('./daemon.js');
    process.exitCode = await launchAsScripts(request, settings, this.program);
  }

  override request(argv: Argv): MasterRequest {
    const settings = settingsOf(argv, this.#words);
    return this.#requestFor(settings, optionsOf(settings));
  }

  #requestFor(settings: Settings, given: Record<string, unknown>): MasterRequest {
    const load = requestOf(given);
    const { execArgv, require, stdout, stderr } = settings;
    return {
      mode: 'start',
      load: { ...load, inline: { ...load.inline, execArgv, ...require.length > 0 && { require } } },
      envFiles: [],
      argv: [process.argv[1] ?? '', this.commandName || 'start', ...this.#line, ...settings.daemon ? this.#shown(settings, given) : []],
      ...settings.daemon && { stdout, stderr },
    };
  }

  #say({ frameworkName, baseDir, execArgv, title, daemon, stdout }: Settings, given: object): void {
    print(`[${this.program}] Starting ${frameworkName} application at ${baseDir}`);
    print(`[${this.program}] Run node ${[...execArgv, JSON.stringify(given), `--title=${title}`].join(' ')}`);
    if (daemon) print(`[${this.program}] Save log file to ${path.dirname(stdout)}`);
  }

  /** For scripts that look for it among the processes. */
  #shown({ title }: Settings, given: object): string[] {
    if (this.#line.some((word) => word.startsWith(SHOWN))) return [];
    return [`${SHOWN}${JSON.stringify(given)}`, ...this.#line.some((word) => word.startsWith('--title')) ? [] : [`--title=${title}`]];
  }

  /** The same line in a process of its own, which has the options in it or is another Node; each ends with the other. */
  #runWith(node: string, more: readonly string[]): Promise<void> {
    const words = this.#line.filter((word, at) => !/^--node(?:=|$)/.test(word) && this.#line[at - 1] !== '--node');
    const child = spawn(node, [process.argv[1] ?? '', this.commandName || 'start', ...words, ...more], {
      stdio: ['inherit', 'inherit', 'inherit', 'pipe'], env: { ...process.env, [STARTER]: '1' },
    });
    // What is typed at a terminal both have got, and a second one would hurry.
    const pass = (signal: NodeJS.Signals): void => { if (signal === 'SIGTERM' || !process.stdin.isTTY) child.kill(signal); };
    for (const signal of ['SIGINT', 'SIGQUIT', 'SIGTERM'] as const) process.on(signal, pass);
    return new Promise((_, reject) => {
      child.once('error', reject);
      child.once('exit', (code, signal) => process.exit(code ?? (signal ? 1 : 0)));
    });
  }
}

/** Variable: the same command has started this process, and holds the other end of a pipe. */
const STARTER = 'HATCHERY_SCRIPTS_STARTER';
const STARTER_FD = 3;

/** Nothing else would tell this process of a starter that was killed. */
function endWithStarter(): void {
  const { [STARTER]: starter } = process.env;
  delete process.env[STARTER];
  if (starter === undefined) return;
  const gone = (): void => { process.kill(process.pid, 'SIGTERM'); };
  new Socket({ fd: STARTER_FD, readable: true, writable: false }).once('end', gone).once('error', gone).resume().unref();
}

/** How long instances may take that are closing, ms. */
const CLOSING = 10_000;
const LOOK = 100;

/** Instances that are closing may have the port yet: those who sent a signal, as with egg-scripts, have not waited for the end. */
async function othersGone(): Promise<void> {
  const isClosing = async (record: InstanceRecord): Promise<boolean> =>
    await isAlive(record) && (await new ControlClient(record).status().catch(() => null))?.state === 'closing';
  const end = Date.now() + CLOSING;
  for (const record of await listInstances()) {
    while (Date.now() < end && await isClosing(record)) await new Promise((resolve) => setTimeout(resolve, LOOK));
  }
}

/** Options for the framework's `startCluster`. */
function optionsOf({ baseDir, framework, title, workers, port, env, others }: Settings): Record<string, unknown> {
  return { ...others, baseDir, framework, title, workers: workers && Number(workers), port: port && Number(port), env };
}

/** As egg-scripts has it: bins of the app come first, and Egg is told its environment. */
function prepareEnvironment({ baseDir, env }: Settings): void {
  const dirs = [path.join(baseDir, 'node_modules/.bin'), path.join(baseDir, '.node/bin')].join(path.delimiter);
  if (!process.env.PATH?.startsWith(dirs)) process.env.PATH = [dirs, process.env.PATH].filter(Boolean).join(path.delimiter);
  process.env.NODE_ENV = 'production';
  if (env !== undefined) process.env.EGG_SERVER_ENV = env;
}
