import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** One that writes without end is told this often, ms, and of so many files, beyond which it is not asked who it was. */
const AGAIN = 250;
const MOST = 2_000;

/** Functions that write, by the argument which names the file; `open` does, when its flags say so. */
const WRITING = { writeFile: 0, appendFile: 0, truncate: 0, copyFile: 1, rename: 1, cp: 1, link: 1, symlink: 1 } as const;

type Call = (this: unknown, ...args: unknown[]) => unknown;

/**
 * Tells which files this process is about to write: such a change is no save. What it has others write for it, or does past
 * `node:fs`, it does not see.
 */
export function tellWritten(tell: (file: string) => void): void {
  const told = new Map<string, number>();
  const note = (name: unknown): void => {
    const file = fileOf(name);
    const now = performance.now();
    if (file === null || now - (told.get(file) ?? -AGAIN) < AGAIN || (told.size >= MOST && !told.has(file))) return;
    told.set(file, now);
    tell(file);
  };
  const writes = (name: string, at: number) => (args: unknown[]) => { if (name !== 'open' || isForWriting(args[1])) note(args[at]); };
  for (const [name, at] of Object.entries({ ...WRITING, open: 0 })) {
    const before = writes(name, at);
    for (const [owner, own] of [[fs, name], [fs, `${name}Sync`], [fs.promises, name]] as const) wrap(owner, own, before);
  }
  syncBuiltinESMExports();
}

function wrap(owner: object, name: string, before: (args: unknown[]) => void): void {
  const original = Reflect.get(owner, name) as Call | undefined;
  if (typeof original !== 'function') return;
  const told: Call = function (this: unknown, ...args) {
    before(args);
    return Reflect.apply(original, this, args);
  };
  Object.defineProperties(told, Object.getOwnPropertyDescriptors(original));
  Reflect.set(owner, name, told);
}

const isForWriting = (flags: unknown): boolean => typeof flags === 'number'
  ? (flags & (fs.constants.O_WRONLY | fs.constants.O_RDWR)) !== 0 : typeof flags === 'string' && /[wa+]/.test(flags);

function fileOf(name: unknown): string | null {
  try {
    if (name instanceof URL) return fileURLToPath(name);
    return typeof name === 'string' || Buffer.isBuffer(name) ? path.resolve(String(name)) : null;
  } catch {
    return null;
  }
}
