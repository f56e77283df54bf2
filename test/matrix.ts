import { spawn } from 'node:child_process';

/**
 * `npm run matrix`: everything on every Node.js that we support, one after the other, as CI runs it; before an issue is
 * called resolved. `--ci`: what CI has the time for, beside `npm test` on its own Node.js (.ci/run).
 */
const VERSIONS = [20, 22, 24, 26];
/** What a Node may break: what it does not promise (test/node), and that nothing is lost. */
const ESSENTIAL = [
  'node/', 'worker-dies', 'drain-', 'serve-self', 'serve-linked', 'master-killed', 'handover', 'reload-', 'reuse-port', 'signals',
  'messages', 'shared-reload', 'ready-reload', 'sticky-kill', 'slow-paths', 'leftovers', 'start-alone',
];

const ci = process.argv.includes('--ci');
const own = Number(process.versions.node.split('.')[0]);
const plan = VERSIONS.filter((version) => !ci || version !== own)
  .map((version) => ({ version, words: ci ? ESSENTIAL : [] }));

/** Runs one version's part; its exit code, and its sums as test/run.ts prints them. */
function run(version: number, words: readonly string[]): Promise<{ code: number; sums: Map<string, number> }> {
  const runner = spawn(process.execPath, ['--import', 'tsx', 'test/run.ts', '--node', String(version), ...words], {
    stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, CI: 'true' },
  });
  let output = '';
  runner.stdout.on('data', (chunk: Buffer) => {
    output += String(chunk);
    process.stdout.write(chunk);
  });
  return new Promise((resolve) => runner.on('close', (code) => resolve({
    code: code ?? 1, sums: new Map([...output.matchAll(/^# (\w+) (\d+)$/gm)].map(([, name, count]) => [name as string, Number(count)])),
  })));
}

const total = new Map<string, number>();
const lines: string[] = [];
let failed = false;
for (const { version, words } of plan) {
  const what = words.length === 0 ? 'everything' : words.join(' ');
  console.log(`== Node.js ${version}: ${what}`);
  const { code, sums } = await run(version, words);
  failed ||= code !== 0;
  for (const [name, count] of sums) total.set(name, (total.get(name) ?? 0) + count);
  const sum = (name: string): number => sums.get(name) ?? 0;
  const minutes = (sum('duration_ms') / 60_000).toFixed(1);
  lines.push(`Node.js ${version}: ${code === 0 ? 'good' : 'FAILED'}, ${sum('pass')} of ${sum('tests')} passed, `
    + `${sum('skipped')} skipped, ${minutes} min, ${what}`);
}
console.log(['', ...lines, ...[...total].map(([name, count]) => `# ${name} ${count}`)].join('\n'));
process.exit(failed ? 1 : 0);
