import { spawn } from 'node:child_process';
import type { Master } from '../../lib/index.js';
import type { Terminal } from './terminal.js';

interface Letter {
  /** What else may be typed for it. */
  also?: string;
  does: string;
  run(): void;
}

/** Clears what is seen and what can be scrolled back to. */
const CLEAR = '\u001b[2J\u001b[3J\u001b[H';

const OPENERS: Partial<Record<NodeJS.Platform, [string, ...string[]]>> = { darwin: ['open'], win32: ['cmd', '/c', 'start', ''] };

/** What a line that is typed does, each a letter and Enter, as in Vite. A line that is none of them is for nobody. */
export function letters(master: Master, terminal: Terminal, reload: () => void): (line: string) => void {
  const address = () => master.address ?? 'no address yet';
  const known: Readonly<Record<string, Letter>> = {
    r: { also: 'rs', does: 'reloads', run: reload },
    o: { does: 'opens it in the browser', run: () => open(address(), (why) => terminal.warn(why)) },
    u: { does: 'shows where it answers', run: () => terminal.print(terminal.addresses(address())) },
    c: { does: 'clears the terminal', run: () => { if (terminal.isForPerson) terminal.print(CLEAR); } },
    q: { does: 'ends it', run: () => { void master.close('q'); } },
    h: { does: 'shows this', run: () => terminal.print(help()) },
  };
  const help = () => Object.entries(known)
    .map(([letter, { also, does }]) => `  ${letter}${also ? `, ${also}` : ''}`.padEnd(9) + does).join('\n');
  return (line) => {
    const found = Object.entries(known).find(([letter, { also }]) => line === letter || line === also);
    found?.[1].run();
  };
}

/** The browser is no child of ours: it lives on. BROWSER names one, as in other tools; `none` is none. */
function open(address: string, failed: (why: string) => void): void {
  if (!/^https?:/.test(address)) return failed('there is no address that a browser could open');
  const [program, ...words] = process.env.BROWSER ? [process.env.BROWSER] : OPENERS[process.platform] ?? ['xdg-open'];
  if (program === 'none') return;
  const browser = spawn(program, [...words, address], { detached: true, stdio: 'ignore' });
  browser.once('error', (error) => failed(`no browser opens ${address}: ${error.message}`));
  browser.once('exit', (code) => { if (code) failed(`no browser opens ${address}: ${program} exited with code ${code}`); });
  browser.unref();
}
