import { Command } from '../command.js';
import type { Context } from '../common-bin.js';
import type { Flags } from '../flags.js';
import { answer } from '../output.js';
import { table } from '../table.js';
import { readFlags, readRequest } from './config.js';

export class HooksCommand extends Command {
  override get description(): string { return 'print every hook, its kind, and which plugins tap it'; }

  override get words(): readonly string[] { return ['[target]']; }

  override get takesArguments(): boolean { return true; }

  override get flags(): Flags { return readFlags; }

  override async run({ argv }: Context): Promise<void> {
    const { loadConfig } = await import('../../lib/config/load.js');
    const { Bootstrap } = await import('../../lib/master/bootstrap.js');
    const { noteOfHook } = await import('../../lib/api/hooks.js');
    const loaded = await loadConfig(readRequest(argv));
    // What plugins say while they are applied is no part of the answer.
    const bootstrap = new Bootstrap({ ...loaded, config: { ...loaded.config, log: { ...loaded.config.log, level: 'silent' } } });
    await bootstrap.prepare();
    const hooks = Object.entries(bootstrap.hooks).map(([name, hook]) => ({
      hook: name,
      // A bundler numbers classes whose names it meets twice.
      type: hook.constructor.name.replace(/\d+$/, ''),
      kind: noteOfHook(hook).kind,
      taps: [...new Set(hook.taps.map((tap) => tap.name))],
    }));
    const rows = hooks.map(({ hook, type, kind, taps }) => [hook, type, kind, taps.join(', ') || '-']);
    answer(hooks, await table(['hook', 'tapable', 'kind', 'taps'], rows), 2);
    // A plugin may have left a timer running.
    process.exit(0);
  }
}
