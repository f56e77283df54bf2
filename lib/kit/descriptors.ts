import { readFileSync } from 'node:fs';

/** A limit that is lower than any on other systems: there it is asked for, which takes long, when so many are in use. */
const ASK_AT = 128;

let known: number | undefined;

/**
 * How many descriptors this process may have; Infinity where that cannot be known. `used`: how many it has at least. Node has
 * raised the soft limit to the hard one when it started.
 */
export function descriptorLimit(used: number): number {
  if (known !== undefined) return known;
  if (process.platform === 'linux') return known = fromProc();
  return used < ASK_AT ? Infinity : known = fromReport();
}

function fromProc(): number {
  try {
    const text = readFileSync('/proc/self/limits', 'latin1');
    return Number(/^Max open files\s+(\d+)/m.exec(text)?.[1] ?? Infinity);
  } catch {
    return Infinity;
  }
}

function fromReport(): number {
  try {
    const report = process.report.getReport() as { userLimits?: { open_files?: { soft?: unknown } } };
    const soft = Number(report.userLimits?.open_files?.soft);
    return soft > 0 ? soft : Infinity;
  } catch {
    return Infinity;
  }
}
