import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Position {
  file: string;
  /** From 1. */
  line: number;
  /** From 1; 0 when unknown. */
  column: number;
}

export interface CodeFrame extends Position {
  /** The lines around the position. */
  lines: { number: number; text: string }[];
}

const AROUND = 3;
/** Characters of a line that are shown: bundles have long ones. */
const LONGEST = 200;
const NOTHING = { number: 0, text: '.' };
/** The product's own code says nothing about the app's mistake. */
export const OURS = fileURLToPath(new URL('../..', import.meta.url));
/** `at fn (/dir/file.js:3:7)`, `at file:///dir/file.js:3:7`; the second line of what Node prints for a syntax error has no column. */
const FRAME = /^\s+at (?:async )?(?:.* \()?((?:file:\/\/|\/|[A-Za-z]:\\)[^():]*(?:\([^()]*\)[^():]*)*):(\d+):(\d+)\)?$/;
const HEADER = /^((?:file:\/\/|\/|[A-Za-z]:\\).*?):(\d+)(?::\d+)?$/;
const MISSING = /'([^']+)' imported from (.+?)(?:\n|$)/;

/** Where in the app an error comes from: the first frame in its directory, else the first that is a file. */
export function positionOf({ message, stack = '' }: { message: string; stack?: string }, dir: string): Position | null {
  const lines = stack.split('\n');
  const [first = ''] = lines;
  const header = HEADER.exec(first);
  if (header) {
    const caret = lines.slice(1, 4).find((line) => /^\s*\^+\s*$/.test(line));
    return { file: toPath(header[1] as string), line: Number(header[2]), column: caret ? caret.indexOf('^') + 1 : 0 };
  }
  const missing = MISSING.exec(message);
  if (missing) {
    const at = importOf(missing[1] as string, toPath(missing[2] as string));
    if (at) return at;
  }
  const frames = lines.map((line) => FRAME.exec(line)).filter((match) => match !== null)
    .map((match): Position => ({ file: toPath(match[1] as string), line: Number(match[2]), column: Number(match[3]) }));
  return frames.find(({ file }) => isOwn(file, dir)) ?? frames.find(({ file }) => !file.startsWith(OURS) && !isInstalled(file)) ?? null;
}

const isInstalled = (file: string): boolean => file.includes(`${path.sep}node_modules${path.sep}`);

export const isOwn = (file: string, dir: string): boolean => file.startsWith(dir + path.sep) && !isInstalled(file);

/** The source around a position; null when it cannot be read. */
export function codeFrame({ file, line, column }: Position): CodeFrame | null {
  let source: string[];
  try {
    source = readFileSync(file, 'utf8').split(/\r?\n/);
  } catch {
    return null;
  }
  if (line < 1 || line > source.length) return null;
  const from = Math.max(1, line - AROUND);
  const lines = source.slice(from - 1, line + AROUND).map((text, index) => ({ number: from + index, text: text.slice(0, LONGEST) }));
  const isEdge = ({ number, text }: { number: number; text: string }) => text.trim() === '' && number !== line;
  while (isEdge(lines.at(-1) ?? NOTHING)) lines.pop();
  while (isEdge(lines[0] ?? NOTHING)) lines.shift();
  return { file, line, column, lines };
}

/** `> 12 | const x = ;` with a caret below. */
export function frameText({ line, column, lines }: CodeFrame): string {
  const width = String(lines.at(-1)?.number ?? 0).length;
  return lines.flatMap(({ number, text }) => {
    const here = number === line;
    const row = `${here ? '>' : ' '} ${String(number).padStart(width)} | ${text}`;
    return here && column > 0 ? [row, `  ${' '.repeat(width)} | ${text.slice(0, column - 1).replace(/[^\t]/g, ' ')}^`] : [row];
  }).join('\n');
}

/** Node names the file that a missing module was imported from, not the line. */
function importOf(missing: string, file: string): Position | null {
  const name = path.basename(missing).replace(/\.[^.]+$/, '');
  try {
    const lines = readFileSync(file, 'utf8').split('\n');
    const index = lines.findIndex((text) => /\b(?:import|export|from)\b/.test(text) && text.includes(name));
    return index < 0 ? null : { file, line: index + 1, column: (lines[index] as string).indexOf(name) + 1 };
  } catch {
    return null;
  }
}

const toPath = (location: string): string => {
  const plain = location.replace(/\?.*$/, '');
  return plain.startsWith('file://') ? fileURLToPath(plain) : plain;
};
