import { Command, usageError } from '../command.js';
import type { Argv, Context } from '../common-bin.js';
import { aloneFlags, configFlags, configFrom, envFilesIn, jsonFlag, type Flags } from '../flags.js';
import type { MasterRequest } from '../master.js';

export class StartCommand extends Command {
  override get description(): string { return 'run an app on every core, in the foreground or as a daemon'; }

  override get words(): readonly string[] { return ['[target]']; }

  override get takesArguments(): boolean { return true; }

  override get flags(): Flags {
    return {
      ...configFlags,
      ...jsonFlag,
      daemon: { kind: 'switch', alias: 'd', description: 'return once all workers are ready, and leave it running', standard: 'off' },
      stdout: { kind: 'text', description: 'log file of a daemon', standard: 'logs/<title>.log in the app\'s directory' },
      stderr: { kind: 'text', description: 'log file of a daemon for warnings and errors', standard: 'the same file' },
    };
  }

  /** Which defaults of the configuration hold. */
  protected get mode(): 'start' | 'dev' { return 'start'; }

  /** What its words and flags ask for. */
  request(argv: Argv): MasterRequest {
    const flags = configFrom(this.flags, argv);
    const alone = this.mode === 'start' && flags.workers === '0';
    const wanted = alone ? aloneFlags(flags) : flags;
    // Of a daemon the launcher answers.
    const words = argv.daemon ? this.rawArgv.filter((word) => word !== '--json') : this.rawArgv;
    return {
      mode: this.mode,
      alone,
      load: { ...this.beneath, target: argv._[0], command: this.mode, flags: argv.json && !argv.daemon ? inJson(wanted) : wanted },
      envFiles: envFilesIn(argv),
      argv: [process.argv[1] ?? '', this.commandName || this.mode, ...words, ...this.ending],
      stdout: this.text(argv, 'stdout'),
      stderr: this.text(argv, 'stderr'),
    };
  }

  override async run({ argv }: Context): Promise<void> {
    if (!argv.daemon && !process.env.HATCHERY_DAEMON) {
      const idle = ['stdout', 'stderr'].find((name) => this.text(argv, name) !== undefined);
      if (idle) throw usageError(`--${idle}: is for a daemon; add --daemon, or redirect the output in the shell`);
    }
    if (argv.daemon && !process.env.HATCHERY_DAEMON) {
      const { launch } = await import('../launch.js');
      process.exitCode = await launch(this.request(argv));
      return;
    }
    const { runMaster } = await import('../master.js');
    process.exit(await runMaster(this.request(argv)));
  }
}

/** What a master in the foreground writes is its log. */
const inJson = ({ log, ...flags }: Record<string, unknown>): Record<string, unknown> =>
  ({ ...flags, log: { format: 'json', ...log as object | undefined } });
