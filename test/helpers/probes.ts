import { execFile } from 'node:child_process';
import path from 'node:path';
import { node, root } from './cluster.js';

const FILE = path.join(root, 'dist/lib/node/probes.cjs');
/** Milliseconds for all of them. */
const DEADLINE = 20_000;

/** What the Node under test has of lib/node: for each subject null, or the promise that it breaks. `first`: a file to run before. */
export function probes(subjects: readonly string[] = [], first?: string): Promise<Record<string, string | null>> {
  return new Promise((resolve, reject) => {
    execFile(node, [...(first ? ['--require', first] : []), FILE, ...subjects], { timeout: DEADLINE }, (error, stdout, stderr) => {
      if (error) reject(new Error(`the probes ended badly: ${error.message.slice(0, 500)}\n${stderr.slice(-2_000)}`));
      else resolve(JSON.parse(stdout) as Record<string, string | null>);
    });
  });
}
