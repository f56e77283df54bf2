import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/** Milliseconds that a framework may take to say how it starts. */
const PATIENCE = 30_000;

/** What a framework's own `startCluster` makes of the options and of the environment. */
interface Answer {
  options: Record<string, unknown>;
  env: Record<string, string>;
}

/**
 * Options as the framework's own `startCluster` hands them on to Egg's, and variables that it sets, which are set here as well. A
 * master runs no code of a framework: a process of its own asks it, where it has such a function.
 */
export async function ownStart(folder: string, options: Record<string, unknown>, name = ''): Promise<Record<string, unknown>> {
  const main = mainOf(folder);
  if (name === 'egg' || main === undefined || !readFileSync(main, 'utf8').includes('startCluster')) return options;
  const answer = await ask(main, options);
  if (answer === null) return options;
  Object.assign(process.env, answer.env);
  return { ...options, ...answer.options };
}

function mainOf(folder: string): string | undefined {
  try {
    return createRequire(`${folder}/`).resolve(folder);
  } catch {
    return undefined;
  }
}

/** Null: it has not come to Egg's `startCluster`, and starts with what there is. */
function ask(main: string, options: object): Promise<Answer | null> {
  const script = fileURLToPath(new URL('./ask.cjs', import.meta.url));
  const child = spawn(process.execPath, [script, main, JSON.stringify(options)], { stdio: ['ignore', 'inherit', 'inherit', 'pipe'] });
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE);
  let text = '';
  child.stdio[3]?.on('data', (chunk: Buffer) => { text += String(chunk); });
  return new Promise((resolve) => {
    child.once('error', () => resolve(null));
    child.once('close', () => {
      clearTimeout(timer);
      resolve(text === '' ? null : JSON.parse(text) as Answer);
    });
  });
}
