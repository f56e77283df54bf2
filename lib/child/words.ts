import { WORDS, type ChildWords } from '../ipc/messages.js';

/**
 * Makes `process.argv` and `process.execArgv` what plain node would give the app: its own file is `argv[1]`, and a process
 * that it forks has its Node options and not ours.
 */
export function takeWords({ argv, execArgv }: ChildWords): void {
  process.argv.splice(1, Infinity, ...argv);
  process.execArgv.splice(0, Infinity, ...execArgv);
}

/**
 * The same where the user's preloads come before the boot information. A bundle of its own, required before them by way of
 * NODE_OPTIONS, which is as it was afterwards. A thread of the app runs it again, and finds nothing.
 */
export function takeWordsFirst(): void {
  const told = process.env[WORDS];
  if (told === undefined) return;
  const { nodeOptions, ...words } = JSON.parse(told) as ChildWords & { nodeOptions?: string };
  delete process.env[WORDS];
  if (nodeOptions === undefined) delete process.env.NODE_OPTIONS;
  else process.env.NODE_OPTIONS = nodeOptions;
  takeWords(words);
}
