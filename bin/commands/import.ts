import { existsSync, writeFileSync } from 'node:fs';
import { logicalCwd } from '../../lib/config/target.js';
import { nearest } from '../../lib/kit/misuse.js';
import { Command, usageError } from '../command.js';
import type { Context } from '../common-bin.js';
import { jsonFlag, type Flags } from '../flags.js';
import { answer, printError } from '../output.js';
import type { Imported } from '../import/report.js';

const TOOLS = ['pm2', 'egg-scripts'];

/** Writes the configuration of an app that another tool has run. */
export class ImportCommand extends Command {
  override get description(): string { return 'write a configuration from that of PM2 or egg-scripts'; }

  override get words(): readonly string[] { return ['<pm2|egg-scripts>', '[file or directory]']; }

  override get flags(): Flags {
    return { ...jsonFlag, force: { kind: 'switch', description: 'also over a file that is there', standard: 'off' } };
  }

  override async run({ argv }: Context): Promise<void> {
    const [tool, typed] = argv._;
    const { apps, skipped } = await this.#read(tool, typed);
    const there = apps.filter(({ file }) => existsSync(file)).map(({ file }) => file);
    if (there.length > 0 && !argv.force) throw usageError(`import: ${there.join(', ')} is there already; --force writes over it`);
    for (const { file, config } of apps) writeFileSync(file, `${JSON.stringify(config, null, 2)}\n`);
    const { inWords } = await import('../import/report.js');
    for (const line of skipped) printError(`not taken: ${line}`);
    answer({ apps, skipped }, apps.map(inWords).join('\n\n'), 2);
  }

  async #read(tool: string | undefined, typed: string | undefined): Promise<{ apps: Imported[]; skipped: string[] }> {
    if (tool === 'pm2') return (await import('../import/pm2.js')).importPm2(typed, logicalCwd());
    if (tool === 'egg-scripts') {
      return { apps: [(await import('../import/egg-scripts.js')).importEggScripts(typed, logicalCwd())], skipped: [] };
    }
    const near = tool === undefined ? undefined : nearest(tool, TOOLS);
    const found = tool === undefined ? 'nothing' : `"${tool}"${near ? `, did you mean "${near}"?` : ''}`;
    throw usageError(`import: expected ${TOOLS.join(' or ')}, found ${found}`);
  }
}
