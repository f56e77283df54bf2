import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { spawn, type ChildProcess, type ChildProcessByStdio } from 'node:child_process';
import os from 'node:os';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { bin, freePort, node, run, type FilledStatus, type RunResult, type Scope } from '../helpers/cluster.js';

/** A server that answers with what it is; `BODY` can be replaced to make another version of it. */
export const SERVER = "require('node:http').createServer((_, response) => response.end('BODY')).listen(process.env.PORT);\n";

export type Watched = ChildProcess & { text: string; ended: Promise<number | null> };

let serial = 0;

/** A home of its own: app directories, instance records, and the processes that are started with its environment. */
export class Sandbox {
  readonly dir = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'hs-')));
  readonly marker = `hs-${process.pid}-${serial++}`;
  readonly env: NodeJS.ProcessEnv;
  readonly #spawned: ChildProcess[] = [];

  constructor(scope: Scope) {
    const runtime = path.join(this.dir, 'run');
    mkdirSync(runtime, { mode: 0o700 });
    this.env = {
      ...process.env, NODE_ENV: undefined, FORCE_COLOR: undefined, NO_COLOR: '1', HOME: runtime, XDG_RUNTIME_DIR: runtime, TMPDIR: runtime,
      HATCHERY_TEST: this.marker, PORT: undefined,
    };
    scope.after(() => this.dispose());
  }

  /** An app directory with these files; by default the server. */
  app(name = 'app', files: Record<string, string> = { 'server.js': SERVER }): string {
    const dir = path.join(this.dir, name);
    mkdirSync(dir, { recursive: true });
    for (const [file, content] of Object.entries(files)) writeFileSync(path.join(dir, file), content);
    return dir;
  }

  /** A command to its end. */
  run(args: string[], options: { env?: NodeJS.ProcessEnv; cwd?: string; deadline?: number } = {}): Promise<RunResult> {
    return run(args, { cwd: this.dir, deadline: options.deadline ?? 20_000, ...options, env: { ...this.env, ...options.env } });
  }

  /** `start --daemon` on a free port; fails the test when it does not come up. */
  async daemon(dir: string, args: string[] = []): Promise<{ port: number; pid: number; log: string; output: string }> {
    const port = await freePort();
    const { code, stdout, stderr } = await this.run(['start', dir, '--daemon', '-p', String(port), '-w', '1', ...args]);
    if (code !== 0) throw new Error(`start --daemon exited ${code}\n${stdout}${stderr}`);
    return { port, pid: Number(/pid (\d+)/.exec(stdout)?.[1]), log: /log: (.*)/.exec(stdout)?.[1] ?? '', output: stdout };
  }

  /** A command that goes on; ended with the test. */
  spawn(
    args: string[], options: { cwd?: string; env?: NodeJS.ProcessEnv; uid?: number } = {},
  ): Watched {
    return this.spawnNode([bin, ...args], options);
  }

  /** Node with these words; ended with the test. */
  spawnNode(args: string[], options: { cwd?: string; env?: NodeJS.ProcessEnv; uid?: number; input?: 'pipe' } = {}): Watched {
    const child = spawn(node, args, {
      cwd: options.cwd ?? this.dir, env: { ...this.env, ...options.env }, uid: options.uid,
      stdio: [options.input ?? 'ignore', 'pipe', 'pipe'],
    }) as ChildProcessByStdio<null, Readable, Readable>;
    this.#spawned.push(child);
    const watched = Object.assign(child, { text: '', ended: new Promise<number | null>((resolve) => { child.on('exit', resolve); }) });
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => { watched.text += text; });
    return watched;
  }

  async status(args: string[]): Promise<FilledStatus> {
    const { stdout, stderr, code } = await this.run(['status', '--json', ...args]);
    if (code !== 0) throw new Error(`status exited ${code}: ${stderr}`);
    return JSON.parse(stdout) as FilledStatus;
  }

  /** Records and sockets. */
  files(): string[] {
    const dir = path.join(this.dir, 'run', '.hatchery');
    return existsSync(dir) ? readdirSync(dir) : [];
  }

  /** Pids of everything that runs with this environment (Linux). */
  processes(): number[] {
    if (process.platform !== 'linux') return [];
    return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`HATCHERY_TEST=${this.marker}\0`)
          && !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
      } catch {
        return false;
      }
    });
  }

  async dispose(): Promise<void> {
    for (let round = 0; round < 40; round++) {
      const left = this.processes();
      for (const pid of left) kill(pid);
      for (const child of this.#spawned) if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      if (left.length === 0) break;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    rmSync(this.dir, { recursive: true, force: true });
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // gone by itself
  }
}

/** Waits for a condition, with a deadline in ms. */
export async function until(condition: () => unknown, deadline = 10_000, what = String(condition)): Promise<void> {
  const end = Date.now() + deadline;
  while (!await condition()) {
    if (Date.now() > end) throw new Error(`not within ${deadline} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The body of an answer, or the error's code. */
export async function get(port: number): Promise<string> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' }, signal: AbortSignal.timeout(5_000) });
    return await response.text();
  } catch (error) {
    return String((error as { cause?: { code?: string } }).cause?.code ?? error);
  }
}
