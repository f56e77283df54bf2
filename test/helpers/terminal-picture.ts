import { spawn, type ChildProcess } from 'node:child_process';
import { createRequire } from 'node:module';
import type { Browser } from 'playwright-core';

interface Cell {
  getChars(): string;
  getWidth(): number;
  getFgColor(): number;
  isFgDefault(): boolean;
  isBold(): number;
  isDim(): number;
  isInverse(): number;
}
interface Line { getCell(x: number): Cell | undefined; translateToString(trim: boolean): string }
interface Emulator {
  write(text: string, done: () => void): void;
  readonly buffer: { active: { readonly length: number; getLine(y: number): Line | undefined } };
}
type Emulators = { Terminal: new (options: object) => Emulator };

/** The sixteen colours of a terminal with a dark background. */
const COLOURS = [
  '#3b4048', '#ff7b89', '#8fd48a', '#e5c07b', '#7fb2f0', '#d3a4f9', '#72d0d8', '#c8ccd4',
  '#7f8794', '#ff9aa5', '#a9e2a4', '#f0d399', '#a3caf7', '#e2c2fb', '#97dfe5', '#ffffff',
];
const ROWS = 200;

/** A terminal of a width, in which something runs (Linux: script(1)); what it shows can be a picture. */
export class TerminalPicture {
  readonly process: ChildProcess;
  readonly #emulator: Emulator;
  readonly #columns: number;
  readonly #title: string;
  #shown = Promise.resolve();

  /** `command`: of a shell. */
  constructor(command: string, { columns, cwd, env }: { columns: number; cwd: string; env: NodeJS.ProcessEnv }, title: string) {
    // Loaded by hand: who runs the tests without pictures need not have it.
    const { Terminal } = createRequire(import.meta.url)('@xterm/headless') as Emulators;
    this.#emulator = new Terminal({ cols: columns, rows: ROWS, scrollback: 0, convertEol: false, allowProposedApi: true });
    this.#columns = columns;
    this.#title = title;
    this.process = spawn('script', ['-qec', `stty cols ${columns} rows ${ROWS}; ${command}`, '/dev/null'], {
      cwd, env: { ...env, TERM: 'xterm-256color' }, stdio: ['pipe', 'pipe', 'ignore'],
    });
    this.process.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#shown = this.#shown.then(() => new Promise((resolve) => { this.#emulator.write(text, resolve); }));
    });
  }

  /** As typed; Enter is `\n`. */
  type(text: string): void {
    this.process.stdin?.write(text);
  }

  async text(): Promise<string> {
    await this.#shown;
    return this.#lines().map((line) => line.translateToString(true)).join('\n').trimEnd();
  }

  /** PNG, of the lines that are not empty at the end. */
  async picture(browser: Browser): Promise<Buffer> {
    await this.#shown;
    const lines = this.#lines();
    const used = lines.findLastIndex((line) => line.translateToString(true) !== '') + 1;
    const rows = lines.slice(0, used).map((line) => this.#html(line));
    const page = await browser.newPage({ deviceScaleFactor: 1.25, viewport: { width: 1_400, height: 900 } });
    await page.setContent(`<!doctype html><style>
      body { margin: 0; background: transparent }
      #window { display: inline-block; background: #1b1e24; border-radius: 8px; overflow: hidden }
      header { background: #2a2e36; color: #9aa1ad; font: 12px system-ui, sans-serif; text-align: center; padding: 6px }
      pre { margin: 0; padding: 12px 14px; color: #d7dae0; font: 13px/1.35 "DejaVu Sans Mono", monospace; width: ${this.#columns}ch }
    </style><div id="window"><header>${escaped(this.#title)}</header><pre>${rows.join('\n')}</pre></div>`);
    const png = await page.locator('#window').screenshot({ omitBackground: true });
    await page.close();
    return png;
  }

  #lines(): Line[] {
    const { active } = this.#emulator.buffer;
    return Array.from({ length: active.length }, (_, y) => active.getLine(y)).filter((line) => line !== undefined);
  }

  #html(line: Line): string {
    let html = '';
    let last = '';
    for (let x = 0; x < this.#columns; x++) {
      const cell = line.getCell(x);
      if (!cell || cell.getWidth() === 0) continue;
      const style = styleOf(cell);
      if (style !== last) html += `${last ? '</span>' : ''}${style ? `<span style="${style}">` : ''}`;
      last = style;
      html += escaped(cell.getChars() || ' ');
    }
    return html + (last ? '</span>' : '');
  }
}

function styleOf(cell: Cell): string {
  const colour = cell.isFgDefault() ? undefined : COLOURS[cell.getFgColor()];
  return [
    ...(colour ? [`color:${colour}`] : []),
    ...(cell.isBold() ? ['font-weight:bold'] : []),
    ...(cell.isDim() ? ['opacity:.6'] : []),
    ...(cell.isInverse() ? ['filter:invert(1)'] : []),
  ].join(';');
}

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
