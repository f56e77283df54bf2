import type Os from 'node:os';
import path from 'node:path';
import { Command } from '../command.js';
import type { Context } from '../common-bin.js';
import { configFlags, jsonFlag, type Flags } from '../flags.js';
import { answer } from '../output.js';
import { typedFlags } from '../recipe.js';
import { isAlone, prepared, readRequest } from './config.js';

/** Of one whom the system knows by number alone (in a container, for instance) that: a unit takes it too. */
function userName(os: typeof Os): string {
  try {
    return os.userInfo().username;
  } catch {
    return String(process.getuid?.());
  }
}

export class SystemdCommand extends Command {
  override get description(): string { return 'print a systemd unit for the app'; }

  override get words(): readonly string[] { return ['[target]']; }

  override get takesArguments(): boolean { return true; }

  override get flags(): Flags {
    return {
      ...configFlags,
      user: { kind: 'text', description: 'user that the service runs as', standard: 'who asks' },
      ...jsonFlag,
      socket: { kind: 'switch', description: 'print the socket unit instead, for sockets that outlive the service', standard: 'off' },
    };
  }

  override async run({ argv }: Context): Promise<void> {
    const { logicalCwd, throughLinks } = await import('../../lib/config/target.js');
    const { serviceUnit, socketUnit } = await import('../systemd-units.js');
    const { default: os } = await import('node:os');
    const { config, target } = await prepared(readRequest(argv, this));
    const cwd = logicalCwd();
    const unit = argv.socket ? socketUnit(config) : serviceUnit({
      config,
      cwd,
      target: path.resolve(cwd, argv._[0] ?? '.'),
      flags: [...typedFlags(argv), ...this.ending],
      isAlone: isAlone(argv),
      user: this.text(argv, 'user') ?? userName(os),
      bin: throughLinks(process.argv[1] ?? 'framework', [cwd, target.dir]),
    });
    const file = /^# (\S+)/.exec(unit)?.[1];
    answer({ file, content: unit }, unit);
    process.exit(0);
  }
}
