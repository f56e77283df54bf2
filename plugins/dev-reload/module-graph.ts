import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';

/** `from './x'`, `import './x'`, `import('./x')`, `require('./x')`. */
const SPECIFIER = /(?:\bfrom|\bimport|\bimport\s*\(|\brequire\s*\()\s*(['"])(\.{1,2}\/[^'"\n]+)\1/g;
const EXTENSIONS = ['', '.js', '.ts', '.mjs', '.cjs', '.mts', '.cts', '.json', '/index.js', '/index.ts'];

/** All files that a module reaches by relative paths, as far as its text tells; nothing is run. */
export function reachableFrom(entry: string): Set<string> {
  const found = new Set<string>();
  const visit = (file: string): void => {
    if (found.has(file)) return;
    found.add(file);
    let text: string;
    try {
      text = readFileSync(file, 'utf8');
    } catch {
      return;
    }
    for (const [, , specifier] of text.matchAll(SPECIFIER)) {
      const target = resolve(path.dirname(file), specifier as string);
      if (target) visit(target);
    }
  };
  visit(entry);
  return found;
}

function resolve(dir: string, specifier: string): string | undefined {
  const plain = path.resolve(dir, specifier);
  // TypeScript may name the file that it would be compiled to.
  const candidates = [...EXTENSIONS.map((extension) => plain + extension), plain.replace(/\.([mc]?)js$/, '.$1ts')];
  return candidates.find((file) => statSync(file, { throwIfNoEntry: false })?.isFile());
}
