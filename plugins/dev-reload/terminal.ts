import { writeSync } from 'node:fs';
import { isatty } from 'node:tty';
import { visible, type Master } from '../../lib/index.js';

/** What a person at the terminal is told: short lines there, the log's lines in a pipe or a file. */
export interface Terminal {
  /** The address, once. */
  ready(address: string, took: number): void;
  info(text: string): void;
  good(text: string): void;
  warn(text: string): void;
  bad(text: string): void;
}

export function createTerminal(master: Master): Terminal {
  const { logger, config } = master;
  if (!isatty(1) || config.log.format !== 'text' || process.env.TERM === 'dumb') {
    return {
      ready: () => {},
      info: (text) => logger.info(text),
      good: (text) => logger.info(text),
      warn: (text) => logger.warn(text),
      bad: (text) => logger.error(text),
    };
  }
  // The life of each process is for those who ask for it.
  if (master.origin('log', 'level').from === 'default') logger.level = 'warn';
  const paint = (text: string, code: string) => process.env.NO_COLOR ? visible(text) : `\u001b[${code}m${visible(text)}\u001b[0m`;
  const line = (text: string) => {
    try {
      writeSync(1, `${text}\n`);
    } catch {
      // The terminal is gone or cannot keep up.
    }
  };
  return {
    ready: (address, took) => line([
      '',
      `  ${paint(config.title, '1')}  ${paint(address, '36;4')}  ${paint(`ready in ${took}ms`, '2')}`,
      `  ${paint('rs + Enter reloads, Ctrl-C ends', '2')}`,
      '',
    ].join('\n')),
    info: (text) => line(paint(text, '2')),
    good: (text) => line(paint(text, '32')),
    warn: (text) => line(paint(text, '33')),
    bad: (text) => line(visible(text).replace(/^.*/, (head) => paint(head, '31;1'))),
  };
}

/** Calls back for each line typed. Nothing is read in the background: the terminal would stop the process, or signal it. */
export function onLine(listener: (line: string) => void): () => void {
  const { stdin } = process;
  let rest = '';
  const read = (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split(/\r?\n/);
    rest = (lines.pop() ?? '').slice(-100);
    for (const line of lines) listener(line.trim());
  };
  stdin.on('error', () => {});
  stdin.on('data', read);
  stdin.unref?.();
  return () => {
    stdin.off('data', read);
    stdin.pause();
  };
}
