import { Command, usageError } from '../command.js';
import type { Context } from '../common-bin.js';
import { instanceFlags, jsonFlag, type Flags } from '../flags.js';
import { answer } from '../output.js';

export class ScaleCommand extends Command {
  override get description(): string { return 'change the number of workers'; }

  override get words(): readonly string[] { return ['<N|+N|-N>', '[target]']; }

  override get flags(): Flags { return { ...instanceFlags, ...jsonFlag }; }

  override async run({ argv }: Context): Promise<void> {
    const [to, target] = argv._;
    if (to === undefined) throw usageError(`scale: how many workers? ${this.usageLine}`);
    if (!/^(?:[+-]\d{1,6}|[1-9]\d{0,5})$/.test(to)) throw usageError(`scale: expected a number from 1 up, +N or -N, found "${to}"`);
    const { locate } = await import('../locate.js');
    const { order } = await import('../order.js');
    const record = await locate({ target, title: this.text(argv, 'title') });
    const result = await order<{ from: number; to: number }>(record, `/scale?to=${encodeURIComponent(to)}`);
    const words = `${record.title} scaled from ${result.from} to ${result.to} worker${result.to === 1 ? '' : 's'}`;
    answer({ title: record.title, ...result }, words);
  }
}
