import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { bin, freePort, node, run, type FilledStatus, type Scope } from './cluster.js';
import { eventually } from './eventually.js';
import { get } from './http-get.js';

/** A terminal with an interactive shell in it (Linux: script(1)), which starts `framework`. */
export class Terminal {
  readonly port: number;
  /** Of the app that is started. */
  readonly dir: string;
  readonly env: NodeJS.ProcessEnv;
  /** All that was shown. */
  output = '';
  readonly #script: ChildProcess;

  static async open(scope: Scope, dir: string): Promise<Terminal> {
    return new Terminal(scope, dir, await freePort());
  }

  private constructor(scope: Scope, dir: string, port: number) {
    [this.dir, this.port] = [dir, port];
    const tmp = mkdtempSync(path.join(os.tmpdir(), 'ht-'));
    this.env = {
      ...process.env, TERM: 'xterm', NODE_ENV: '', NO_COLOR: '1', PS1: '$ ', TMPDIR: tmp, XDG_RUNTIME_DIR: tmp,
    };
    this.#script = spawn('script', ['-qec', 'bash --norc -i', '/dev/null'], { cwd: dir, env: this.env, stdio: ['pipe', 'pipe', 'ignore'] });
    this.#script.stdout?.setEncoding('utf8').on('data', (text: string) => { this.output += text; });
    this.#script.stdin?.on('error', () => {});
    scope.after(async () => {
      const { stdout } = await run(['status', dir, '--json'], { env: this.env });
      const status = JSON.parse(stdout) as FilledStatus | { master?: undefined };
      this.close();
      for (const pid of status.master ? [status.master.pid, ...status.workers.map((worker) => worker.pid)] : []) kill(pid);
      rmSync(tmp, { recursive: true, force: true });
    });
  }

  /** As typed; Enter is `\n`, Ctrl-Z `\x1a`. */
  type(text: string): void {
    this.#script.stdin?.write(text);
  }

  /** Starts it and waits until it answers; `line` has %, where the command line of `framework` goes. */
  async framework(command: string, line = '%'): Promise<void> {
    this.type(`${line.replace('%', `${node} ${bin} ${command} --port ${this.port}`)}\n`);
    await eventually(async () => (await get(this.url)).status === 200);
    await eventually(async () => (await this.status()).state === 'running');
  }

  get url(): string { return `http://127.0.0.1:${this.port}`; }

  async status(): Promise<FilledStatus> {
    return JSON.parse((await run(['status', this.dir, '--json'], { env: this.env })).stdout) as FilledStatus;
  }

  async seen(what: RegExp, deadline = 8_000): Promise<void> {
    await eventually(() => what.test(this.output), deadline).catch((cause: unknown) => {
      throw new Error(`no ${String(what)} in\n${this.output}`, { cause });
    });
  }

  /** The window is closed. */
  close(): void {
    this.#script.kill('SIGKILL');
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It is gone.
  }
}
