import path from 'node:path';
import { ClusterError, listenErrorInWords, type ChildView, type ExitInfo } from '../../lib/index.js';
import { OURS, codeFrame, frameText, isOwn, positionOf, type CodeFrame, type Position } from './code-frame.js';

interface ErrorLike {
  name: string;
  message: string;
  stack?: string;
  code?: string;
}

/** Why nobody answers, for the terminal and the page. */
export interface Failure {
  /** `The app does not start` */
  title: string;
  /** `worker#0`, `agent`, or what else failed. */
  who: string;
  name: string;
  message: string;
  code?: string;
  /** Where it comes from, relative to the app's directory: `routes/user.js:12:5`. */
  where?: string;
  frame?: CodeFrame;
  stack: { text: string; own: boolean }[];
  /** What it wrote to its error output before it ended. */
  output?: string;
}

/** Of a child that ended without being asked to. */
export function childFailure(child: ChildView, exit: ExitInfo, dir: string): Failure {
  const who = child.role === 'agent' ? 'agent' : `worker#${child.slot}`;
  const title = `The ${child.role === 'agent' ? 'agent' : 'app'} ${child.readyAt === null ? 'does not start' : 'crashed'}`;
  const own = child.failure;
  const failure = errorFailure(title, who, own?.error ?? { name: '', message: endOf(exit, child.readyAt !== null) }, dir);
  return own?.output ? { ...failure, output: own.output.trimEnd() } : failure;
}

function endOf({ cause, code, signal, uptime }: ExitInfo, wasReady: boolean): string {
  if (cause === 'startTimeout') return `it was not ready within ${uptime} ms: it never listened, or its start hangs`;
  if (cause === 'outOfMemory') return 'it ran out of memory';
  const how = signal ? `it was ended by ${signal}` : `it ended with code ${code}`;
  if (wasReady) return `${how} after ${uptime} ms`;
  // It told nothing itself: Node ended it, at what is preloaded for instance.
  return code ? `${how} before it was ready; what it printed is in the terminal` : `${how} before it was ready`;
}

/** Of a start, or a reload, that came to nothing. */
export function startFailure(error: Error & { code?: string }, dir: string): Failure {
  const { name, message, stack, code } = error;
  if (!(error instanceof ClusterError) || error.exitCode !== 2) {
    return errorFailure('The app does not start', '', { name, message, stack, code }, dir);
  }
  // What the user wrote is wrong there, so a stack of the master's says nothing.
  const title = code === 'ERR_CLUSTER_APP_NOT_FOUND' ? 'There is nothing to run' : 'The configuration is wrong';
  return errorFailure(title, '', { name: '', message }, dir);
}

export function errorFailure(title: string, who: string, { name, message: said, stack = '', code }: ErrorLike, dir: string): Failure {
  const message = listenErrorInWords(said) ?? said;
  const position = positionOf({ message, stack }, dir);
  const frame = position ? codeFrame(position) : null;
  return {
    title,
    who,
    name: name === 'ClusterError' ? '' : name,
    message,
    ...(code ? { code } : {}),
    ...(position ? { where: placeOf(position, dir) } : {}),
    ...(frame ? { frame } : {}),
    stack: stackLines(stack, dir),
  };
}

const placeOf = ({ file, line, column }: Position, dir: string): string =>
  `${relative(file, dir)}:${line}${column ? `:${column}` : ''}`;

/** Calls only: what stands above them is the message, and Node's own frame. Paths in the app are made short. */
function stackLines(stack: string, dir: string): Failure['stack'] {
  return stack.split('\n').filter((line) => /^\s+at /.test(line) && !line.includes(OURS)).map((line) => {
    const text = line.trim().replaceAll(`file://${dir}/`, '').replaceAll(dir + path.sep, '');
    return { text, own: text !== line.trim() && !text.includes('node_modules/') };
  });
}

export const relative = (file: string, dir: string): string => isOwn(file, dir) ? path.relative(dir, file) : file;

/** Names of files in one line. */
export function listed(files: readonly string[], dir: string): string {
  const names = files.map((file) => relative(file, dir));
  return names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ');
}

/** For a terminal. */
export function failureText({ title, who, message, where, frame, name, stack }: Failure): string {
  const head = `${title}: ${name && name !== 'Error' ? `${name}: ` : ''}${message}`;
  const lines = [who === '' ? head : `${head} (${who})`];
  if (where) lines.push(`  at ${where}`);
  if (frame) lines.push('', frameText(frame).replace(/^/gm, '  '), '');
  const own = stack.filter((line) => line.own);
  if (own.length > 1 || !frame) lines.push(...(own.length > 0 ? own : stack).map(({ text }) => `    ${text}`));
  return lines.join('\n');
}
