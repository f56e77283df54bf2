import os from 'node:os';
import { masked } from '../secrets.js';
import { style, type Style } from '../output.js';
import { table } from '../table.js';
import type { Finding, Level } from './finding.js';
import type { Facts } from './facts.js';

const STYLES: Readonly<Record<Level, Style>> = { good: 'green', note: 'yellow', bites: 'red' };

/** What looks like a secret in a command line, or an error, is no business of those who read an issue. */
export const shown = (finding: Finding): Finding => masked(finding) as Finding;

/** What it is about: the first line of an issue. */
export const machineLine = ({ own, app }: Facts): string => [
  `hatchery ${own.version}`, `node ${own.node}`, `${own.platform} ${os.release()} ${process.arch}`,
  `${os.availableParallelism()} processors, ${Math.round(os.totalmem() / 2 ** 20)} MB`, ...(app ? [`app ${app.name} in ${app.dir}`] : []),
].join(', ');

/** A line for each finding, and below it what to do. */
export async function report(facts: Facts, found: readonly Finding[]): Promise<string> {
  const rows = found.map(({ name, level, text }) => [style(level, STYLES[level]), name, text]);
  const [, ...lines] = (await table(['', '', ''], rows)).split('\n');
  const body = lines.map((line, index) => {
    const fix = found[index]?.fix;
    return fix === undefined ? line : `${line}\n         -> ${masked(fix) as string}`;
  });
  return [machineLine(facts), '', ...body, '', verdict(found)].join('\n');
}

function verdict(found: readonly Finding[]): string {
  const of = (level: Level): number => found.filter((one) => one.level === level).length;
  return of('bites') > 0 ? `${of('bites')} of these would bite, ${of('note')} to note` : `nothing would bite, ${of('note')} to note`;
}
