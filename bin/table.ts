import { style, unstyled } from './output.js';

/** Columns that a character takes on a terminal; loaded for the first text that is not plain ASCII. */
let widthOf = (text: string): number => text.length;
let knowsAll = false;

/** Before widths of texts that may hold other characters are asked for. */
export async function knowWidths(texts: readonly string[]): Promise<void> {
  if (knowsAll || texts.every((text) => /^[\x20-\x7e\n]*$/.test(unstyled(text)))) return;
  knowsAll = true;
  widthOf = (await import('string-width')).default;
}

/** Columns that a text takes: two for most characters of Chinese, Japanese and Korean, none for our styles. */
export const width = (text: string): number => widthOf(unstyled(text));

export interface TableOptions {
  /** Columns of numbers, which lean to the right. */
  right?: readonly number[];
}

/** Rows in columns as wide as they need to be. The last cell of a row that has fewer takes the room of those it lacks. */
export async function table(
  head: readonly string[], rows: readonly (readonly string[])[], { right = [] }: TableOptions = {},
): Promise<string> {
  await knowWidths([...head, ...rows.flat()]);
  const whole = rows.filter(({ length }) => length === head.length);
  const widths = head.map((title, column) => Math.max(width(title), ...whole.map((row) => width(row[column] ?? ''))));
  for (const row of rows) widths[0] = Math.max(widths[0] ?? 0, width(row[0] ?? ''));
  const line = (cells: readonly string[]) => cells.map((cell, column) => {
    const space = ' '.repeat(Math.max(0, (widths[column] ?? 0) - width(cell)));
    return right.includes(column) && cells.length === head.length ? space + cell : cell + space;
  }).join('  ').trimEnd();
  return [style(line(head), 'dim'), ...rows.map(line)].join('\n');
}

/** Lines of at most so many columns, broken between words; those that follow are indented. A word is never broken. */
export function wrapped(text: string, columns: number): string {
  return text.split('\n').map((line) => {
    const lines: string[] = [];
    for (const word of line.split(/(?<=\S)(?=\s)/)) {
      const last = lines.at(-1);
      if (last !== undefined && width(last + word) <= columns) lines.push(`${lines.pop()}${word}`);
      else lines.push(last === undefined ? word : `  ${word.trimStart()}`);
    }
    return lines.join('\n');
  }).join('\n');
}
