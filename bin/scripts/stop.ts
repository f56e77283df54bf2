import path from 'node:path';
import { logicalCwd } from '../../lib/config/target.js';
import { listInstances, samePlace } from '../../lib/control/registry.js';
import { Command, usageError } from '../command.js';
import type { Context } from '../common-bin.js';
import type { Flags } from '../flags.js';
import { print, printError } from '../output.js';
import { stopInstance } from '../stop-instance.js';
import { STOP_TIMEOUT } from '../commands/stop.js';

/** `stop` with the flags and habits of egg-scripts: it is no failure when nothing runs. */
export class ScriptsStopCommand extends Command {
  override get description(): string { return 'stop an Egg application and wait for its end'; }

  override get words(): readonly string[] { return ['[baseDir]']; }

  override get flags(): Flags {
    return {
      title: { kind: 'text', description: 'the instances with this title, wherever they are', standard: 'those of the directory' },
      timeout: { kind: 'text', description: 'the deadline, ms, or "10s"; what is left after it is killed', standard: String(STOP_TIMEOUT) },
    };
  }

  override async run({ argv }: Context): Promise<void> {
    const title = this.text(argv, 'title');
    const timeout = milliseconds(this.text(argv, 'timeout'));
    print(`[${this.program}] stopping egg application ${title ? `with --title=${title}` : ''}`);
    const dir = path.resolve(logicalCwd(), argv._[0] ?? '.');
    const found = (await listInstances()).filter((one) => title ? one.title === title : samePlace(one.dir, dir));
    if (found.length === 0) printError(`[${this.program}] can't detect any running egg process`);
    else print(`[${this.program}] got master pid ${JSON.stringify(found.map(({ pid }) => String(pid)))}`);
    // What egg-scripts sends, and what alarms look for in the log.
    await Promise.all(found.map((record) => stopInstance(record, { force: true, timeout, reason: 'SIGTERM' })));
    print(`[${this.program}] stopped`);
  }
}

function milliseconds(text: string | undefined): number {
  if (text === undefined) return STOP_TIMEOUT;
  const [, count, unit] = /^(\d+(?:\.\d+)?)(ms|s|m)?$/.exec(text) ?? [];
  if (count === undefined) throw usageError(`--timeout: expected milliseconds, or a text such as "10s", found "${text}"`);
  return Number(count) * { ms: 1, s: 1_000, m: 60_000 }[unit ?? 'ms']!;
}
