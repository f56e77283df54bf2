import path from 'node:path';
import { listenErrorInWords } from '../kit/sockets.js';
import { restack, reword } from './reword.js';

/** Our own code, seen from dist/lib/child. */
const OURS = path.join(import.meta.dirname, '../../');

/**
 * What ended a start, for the one who has to mend it: a port that cannot be had in words, and no stack where nothing in it
 * is the app's, as an export that cannot be served or a listen that fails later has none.
 */
export function clarify(error: unknown): void {
  if (!(error instanceof Error) || error.stack === undefined) return;
  const words = listenErrorInWords(error.message);
  if (words !== undefined) reword(error, words);
  const lines = error.stack.split('\n');
  if (!lines.some((line) => isFrame(line) && !/node:|<anonymous>\)$/.test(line) && !line.includes(OURS))) {
    restack(error, lines.filter((line) => !isFrame(line)).join('\n'));
  }
}

const isFrame = (line: string): boolean => /^ +at /.test(line);
