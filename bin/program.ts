import { existsSync } from 'node:fs';
import { atCaller, nearest, show } from '../lib/kit/misuse.js';
import { Command, isCommandClass, usageError } from './command.js';
import { ConfigCommand } from './commands/config.js';
import { DockerCommand, KubernetesCommand } from './commands/containers.js';
import { DevCommand } from './commands/dev.js';
import { DoctorCommand } from './commands/doctor.js';
import { HooksCommand } from './commands/hooks.js';
import { ImportCommand } from './commands/import.js';
import { LogsCommand } from './commands/logs.js';
import { McpCommand } from './commands/mcp.js';
import { PluginCommand } from './commands/plugin.js';
import { ProxyConfigCommand } from './commands/proxy-config.js';
import { ReloadCommand } from './commands/reload.js';
import { RestartCommand } from './commands/restart.js';
import { ScaleCommand } from './commands/scale.js';
import { StartCommand } from './commands/start.js';
import { StatusCommand } from './commands/status.js';
import { StopCommand } from './commands/stop.js';
import { SystemdCommand } from './commands/systemd.js';
import type { CommandClass } from './common-bin.js';

/** The whole command line. A framework with its own bin extends it and adds, or replaces, commands. */
export class Program extends Command {
  readonly #commands = new Map<string, CommandClass>();

  constructor(rawArgv?: string[]) {
    super(rawArgv);
    this.add('start', StartCommand);
    this.add('dev', DevCommand);
    this.add('stop', StopCommand);
    this.add('reload', ReloadCommand);
    this.add('restart', RestartCommand);
    this.add('scale', ScaleCommand);
    this.add('status', StatusCommand);
    this.add('logs', LogsCommand);
    this.add('config', ConfigCommand);
    this.add('hooks', HooksCommand);
    this.add('doctor', DoctorCommand);
    this.add('mcp', McpCommand);
    this.add('import', ImportCommand);
    this.add('plugin', PluginCommand);
    this.add('systemd', SystemdCommand);
    this.add('proxy-config', ProxyConfigCommand);
    this.add('docker', DockerCommand);
    this.add('kubernetes', KubernetesCommand);
  }

  override get description(): string { return 'runs a Node server on every core and keeps it up'; }

  override get usageLine(): string { return `${this.program} <command> [target] [flags]`; }

  /** @throws ClusterError ERR_CLUSTER_USAGE: no name, or no class that extends Command of hatchery/cli */
  override add(name: string, target: CommandClass): void {
    if (typeof name !== 'string' || name === '') throw refused(this.add, `add: expected the word of a command, found ${show(name)}`);
    // One that extends the common-bin of the app has another yargs, and none of what is mended here.
    if (!isCommandClass(target)) {
      const found = typeof target === 'function' ? `class ${(target as { name: string }).name || 'without a name'}` : show(target);
      throw refused(this.add, `add("${name}"): expected a class that extends Command of hatchery/cli, found ${found}`);
    }
    this.#commands.set(name, target);
    super.add(name, target);
  }

  override alias(alias: string, name: string): void {
    const target = this.#commands.get(name);
    if (!target) throw refused(this.alias, `alias("${alias}"): there is no command "${name}"`);
    this.#commands.set(alias, target);
    super.alias(alias, name);
  }

  /** common-bin takes the first occurrence of a command's name out of the line, be it a flag's value; this finds the word. */
  override async start(): Promise<void> {
    // As of git, npm and docker: `help start` is `start --help`.
    if (this.rawArgv[0] === 'help' && !this.#commands.has('help')) this.rawArgv = [...this.rawArgv.slice(1), '--help'];
    const at = this.#commandAt();
    const target = at === -1 ? undefined : this.#commands.get(this.rawArgv[at] as string);
    if (target) return this.#start(target, at);
    const first = this.rawArgv.findIndex((word, index) => !word.startsWith('-') && !this.rawArgv[index - 1]?.startsWith('-'));
    const unknown = this.rawArgv[first];
    try {
      if (unknown !== undefined) return await this.#start(await this.#brought(unknown), first);
    } catch (error) {
      return this.errorHandler(error as Error);
    }
    if (this.rawArgv.every((word) => word === '--help' || word === '-h')) await this.#showBrought();
    return super.start();
  }

  #start(target: CommandClass, at: number): Promise<void> {
    const command = new target(this.rawArgv.toSpliced(at, 1));
    if ('siblings' in command) Object.assign(command, { owner: this, commandName: this.rawArgv[at], siblings: this.#commands });
    return command.start();
  }

  /** The command of a plugin of the app. */
  async #brought(word: string): Promise<CommandClass> {
    const { classOf, commandsOfPlugins, unreadable } = await import('./plugin-commands.js');
    let all: Awaited<ReturnType<typeof commandsOfPlugins>>;
    try {
      all = await commandsOfPlugins(this.rawArgv.filter((one) => one !== word), new Set(this.#commands.keys()), this);
    } catch (error) {
      throw this.#near(word) ?? unreadable(error) ?? this.#unknownCommand(word, []);
    }
    const found = all.get(word);
    if (found) return classOf(word, found);
    throw this.#unknownCommand(word, [...all.keys()]);
  }

  /** For the list of commands. An app whose configuration cannot be read has none to show. */
  async #showBrought(): Promise<void> {
    const { commandsOfPlugins } = await import('./plugin-commands.js');
    const all = await commandsOfPlugins([], new Set(this.#commands.keys()), this).catch(() => new Map<string, { description: string }>());
    for (const [name, { description }] of all) {
      super.add(name, class extends Command { override get description(): string { return description; } });
    }
  }

  override run(): void {
    this.showHelp();
  }

  #commandAt(): number {
    for (const [index, word] of this.rawArgv.entries()) {
      // What follows is the app's.
      if (word === '--') break;
      const target = this.#commands.get(word);
      if (target && (index === 0 || isFirstWord(target, this.rawArgv.slice(0, index + 1)))) return index;
    }
    return -1;
  }

  #near(word: string, brought: readonly string[] = []): Error | undefined {
    const near = nearest(word, [...this.#commands.keys(), ...brought]);
    return near === undefined ? undefined : usageError(`unknown command "${word}", did you mean "${near}"?`);
  }

  #unknownCommand(word: string, brought: readonly string[]): Error {
    const near = this.#near(word, brought);
    if (near) return near;
    if (existsSync(word)) return usageError(`unknown command "${word}", did you mean "${this.program} start ${word}"?`);
    return usageError(`unknown command "${word}"; known are ${[...this.#commands.keys(), ...brought].join(', ')}`);
  }
}

const refused = (door: (...args: never) => unknown, message: string): Error => atCaller(usageError(message), door);

/** The last of `words` is no flag's value when the command itself reads the line. */
function isFirstWord(target: CommandClass, words: string[]): boolean {
  const { yargs, rawArgv } = new target(words);
  let found: string[] = [];
  yargs.parse(rawArgv, (_, argv) => { found = argv._; });
  return found.length === 1;
}
