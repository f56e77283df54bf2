import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { speakingThrough } from '../ipc/declarations.js';
import type { PartSpec } from '../ipc/messages.js';
import { importModule } from '../kit/import-module.js';
import { requireFile } from '../node/modules.js';
import { enableTypeScript, isTypeScript } from './load.js';
import { explainSyntaxError, reword } from './failure.js';
import type { ChildRuntime } from './runtime.js';

/**
 * Parts of plugins that are bundled with the runtime, by their file under plugins/ in dist: the build puts them in here, as lib
 * knows no plugin, and every child would read four files more at its start.
 */
const bundledParts: Readonly<Record<string, () => unknown>> = {};

type Part = (runtime: ChildRuntime, options: unknown) => unknown;

/** Runs the plugins' parts in order. `.cjs` files are required: the first import() of a process costs 5 ms on Node 20. */
export async function runParts(runtime: ChildRuntime, parts: readonly PartSpec[]): Promise<void> {
  let told = false;
  for (const part of parts) {
    try {
      // Ours do not hang, and a start has no time for a message about each.
      if (!fileOf(part)?.startsWith(PLUGINS)) {
        await runtime.released;
        told = tellStep(runtime, part);
      }
      await speakingThrough(part.plugin, () => runPart(runtime, part));
    } catch (error) {
      blame(error, part);
      throw error;
    }
  }
  if (told) runtime.channel.send('child.steps', []);
}

const tellStep = ({ channel }: ChildRuntime, { url, plugin }: PartSpec): boolean =>
  channel.send('child.steps', [{ name: `the part ${url} of plugin "${plugin}"`, since: Date.now() }]);

const fileOf = ({ url }: PartSpec): string | undefined => url.startsWith('file:') ? fileURLToPath(url) : undefined;

/** The plugin's name before what went wrong; of a text that does not parse, file and line as well. */
function blame(error: unknown, part: PartSpec): void {
  const whose = `plugin "${part.plugin}"`;
  if (!(error instanceof Error) || error.message.startsWith(whose)) return;
  const file = fileOf(part);
  const place = file === undefined ? undefined : explainSyntaxError(error, file);
  reword(error, `${whose}: ${place === undefined ? '' : `${place}: `}${error.message}`);
}

/** Ours are loaded, and run later. */
export function loadAhead(parts: readonly string[]): void {
  for (const url of parts) if (url.startsWith('file:') && fileURLToPath(url).startsWith(PLUGINS)) load(fileURLToPath(url));
}

async function runPart(runtime: ChildRuntime, part: PartSpec): Promise<void> {
  const { url, options } = part;
  if (isTypeScript(url)) await enableTypeScript(fileOf(part) ?? url);
  const module: unknown = url.endsWith('.cjs') ? load(fileURLToPath(url)) : await importModule(url);
  const run = partOf(module);
  if (!run) throw new Error(`the part ${url} has no function as its default export`);
  const pending = run(runtime, options);
  if (typeof (pending as PromiseLike<unknown> | undefined)?.then === 'function') await pending;
}

/** In dist/, seen from lib/child. */
const PLUGINS = path.join(import.meta.dirname, '../../plugins/');

function load(file: string): unknown {
  const bundled = file.startsWith(PLUGINS) ? bundledParts[file.slice(PLUGINS.length)] : undefined;
  return bundled ? bundled() : requireFile(file);
}

function partOf(module: unknown): Part | null {
  let value = module;
  // CommonJS may wrap the default export once or twice.
  for (let i = 0; i < 2 && typeof value === 'object' && value !== null && 'default' in value; i++) value = value.default;
  return typeof value === 'function' ? value as Part : null;
}
