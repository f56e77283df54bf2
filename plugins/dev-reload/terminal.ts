import { networkInterfaces } from 'node:os';
import { isatty } from 'node:tty';
import { visible, type Master } from '../../lib/index.js';

/** What a reload is for. */
export interface Reason {
  /** Names of changed files; empty: somebody asked. */
  files: string;
  asked: string;
}

/** What a person at the terminal is told: short lines there, the log's lines in a pipe or a file. */
export interface Terminal {
  /** A person reads it. */
  readonly isForPerson: boolean;
  /** The address, once. */
  ready(address: string, took: number): void;
  begins(reason: Reason): void;
  /** `took`: ms. */
  reloaded(reason: Reason, took: number): void;
  info(text: string): void;
  warn(text: string): void;
  bad(text: string): void;
  /** As it is. */
  print(text: string): void;
  /** Where it answers, for this machine and for others, a line each. */
  addresses(address: string): string;
}

/** A format that somebody has named has its lines, wherever they go. */
const isForPerson = (master: Master): boolean =>
  isatty(1) && process.env.TERM !== 'dumb' && master.origin('log', 'format').from === 'default';

const EVERY_HOST: ReadonlySet<string | undefined> = new Set([undefined, '', '::', '0.0.0.0']);

export function createTerminal(master: Master): Terminal {
  const { logger, config } = master;
  const text = (one: string, code: string) => process.env.NO_COLOR ? visible(one) : `\u001b[${code}m${visible(one)}\u001b[0m`;
  const addresses = (address: string) => [
    `  ${text('local', '2')}    ${text(address, '36')}`,
    ...others(master, address).map((other) => `  ${text('network', '2')}  ${text(other, '36')}`),
  ].join('\n');
  if (!isForPerson(master)) {
    const info = (line: string) => logger.info(line);
    return {
      isForPerson: false,
      ready: () => {},
      begins: ({ files, asked }) => info(files ? `changed: ${files}` : asked),
      reloaded: (_, took) => info(`reloaded in ${took}ms`),
      info,
      warn: (line) => logger.warn(line),
      bad: (line) => logger.error(line),
      print: info,
      addresses: (address) => [address, ...others(master, address)].join(', '),
    };
  }
  // The life of each process is for those who ask for it.
  if (master.origin('log', 'level').from === 'default') logger.level = 'warn';
  logger.format = 'short';
  const print = (line: string) => logger.print(line);
  return {
    isForPerson: true,
    ready: (address, took) => print([
      '',
      `  ${text(config.title, '1')}  ${text(`ready in ${took} ms`, '2')}`,
      '',
      addresses(address),
      '',
      `  ${text('h + Enter lists what can be typed here, Ctrl-C ends', '2')}`,
      '',
    ].join('\n')),
    begins: () => {},
    reloaded: ({ files }, took) => print(text(`${files ? `${files} changed` : 'reloaded'}, ${took} ms`, '32')),
    info: (line) => print(text(line, '2')),
    warn: (line) => print(text(line, '33')),
    bad: (line) => print(visible(line).replace(/^.*/, (head) => text(head, '31;1'))),
    print,
    addresses,
  };
}

/** The same for other machines of the network, where the app listens for them. */
function others(master: Master, address: string): string[] {
  const served = master.children().flatMap((child) => child.role === 'worker' ? child.addresses : [])[0];
  if (served?.port === undefined || !EVERY_HOST.has(served.host) || !URL.canParse(address)) return [];
  const hosts = Object.values(networkInterfaces()).flatMap((all) => all ?? [])
    .filter(({ internal, family }) => !internal && family === 'IPv4').map((one) => one.address);
  return hosts.map((host) => Object.assign(new URL(address), { hostname: host }).origin);
}
