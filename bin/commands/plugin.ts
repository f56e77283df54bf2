import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { isBuiltIn } from '../../lib/config/plugin-objects.js';
import { nearest } from '../../lib/kit/misuse.js';
import { ownVersion } from '../../lib/kit/package.js';
import { Command, usageError } from '../command.js';
import type { Context } from '../common-bin.js';
import { jsonFlag, type Flags } from '../flags.js';
import { answer } from '../output.js';

/** What npm takes as the name of a package. */
const NAME = /^(?:@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*$/;
const LONGEST = 214;

export class PluginCommand extends Command {
  override get description(): string { return 'write a new plugin, with parts for each process, options, README and tests'; }

  override get words(): readonly string[] { return ['new', '<NAME>']; }

  override get flags(): Flags {
    return { ...jsonFlag, ts: { kind: 'switch', description: 'in TypeScript', standard: 'off' } };
  }

  override async run({ argv }: Context): Promise<void> {
    const [what, word] = argv._;
    if (what !== 'new') {
      const near = what !== undefined && nearest(what, ['new']) ? ', did you mean "new"?' : '';
      throw usageError(`plugin: expected "new", found ${what === undefined ? 'nothing' : `"${what}"`}${near || `; ${this.usageLine}`}`);
    }
    if (word === undefined) throw usageError(`plugin new: which name? ${this.usageLine}`);
    const { name, dir } = placeOf(word);
    const { pluginFiles } = await import('../plugin-template.js');
    const strips = Boolean((process.features as { typescript?: unknown }).typescript);
    const files = pluginFiles({ name, ts: argv.ts === true, version: ownVersion(), strips });
    write(dir, files);
    const names = Object.keys(files);
    const here = path.relative(process.cwd(), dir) || '.';
    const words = [...names.map((file) => path.join(here, file)), '', `Try it: cd ${here} && npm install && npm test`];
    answer({ name, dir, files: names }, words.join('\n'));
  }
}

/** Names that no package of one's own can have beside those of plugins. */
const TAKEN: ReadonlyMap<string, string> = new Map([
  ['hatchery', 'the package that a plugin is for'], ['node_modules', 'no name of a package'],
]);

/** `limit`, `@acme/limit`, or a path whose last word is the name. */
function placeOf(word: string): { name: string; dir: string } {
  const isName = NAME.test(word);
  const name = isName || word.trim() === '' ? word : path.basename(path.resolve(word));
  if (!NAME.test(name) || name.length > LONGEST) {
    const near = name.toLowerCase().replaceAll(/[^a-z0-9._~-]+/g, '-').replace(/^[-._]+/, '');
    throw usageError(`plugin new: expected the name of a package, found "${word}"${NAME.test(near) ? `, did you mean "${near}"?` : ''}`);
  }
  const other = TAKEN.get(name) ?? (isBuiltIn(name) ? 'a plugin that comes with Hatchery' : undefined);
  if (other !== undefined) throw usageError(`plugin new: "${name}" is ${other}; choose another name`);
  return { name, dir: path.resolve(isName ? word.replace(/^.*\//, '') : word) };
}

/** All of them, or none: nothing that is there is written over. */
function write(dir: string, files: Readonly<Record<string, string>>): void {
  const there = Object.keys(files).map((file) => path.join(dir, file)).find((file) => existsSync(file));
  if (there !== undefined) throw usageError(`plugin new: ${there} is there already; choose another name, or remove it`);
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(dir, name);
    try {
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(file, text, { flag: 'wx' });
    } catch (error) {
      throw usageError(`plugin new: ${file} cannot be written: ${(error as Error).message}`);
    }
  }
}
