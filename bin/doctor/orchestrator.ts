import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import type { OrchestratorFacts } from './facts.js';
import { outputOf } from './machine.js';

/** Platforms by the variables that they set, with the seconds that each waits where nobody says otherwise. */
const PLATFORMS: readonly [variable: string, name: string, grace: number | null, polls: boolean][] = [
  ['KUBERNETES_SERVICE_HOST', 'Kubernetes', 30, true],
  ['ECS_CONTAINER_METADATA_URI_V4', 'ECS', 30, true],
  ['K_SERVICE', 'Cloud Run', 10, false],
  ['FLY_APP_NAME', 'Fly.io', 5, false],
  ['DYNO', 'Heroku', 30, false],
  ['RENDER', 'Render', 30, false],
  ['pm_id', 'PM2', 1.6, false],
];

/** Files beside the app that say how it is deployed. */
const MANIFESTS = ['.', 'k8s', 'kubernetes', 'deploy', 'deployment', 'manifests'];
/** Larger ones are not read, nor more of them. */
const LONGEST = 256 * 1024;
const MOST = 50;

/** `grace`: what a person says, seconds. `pid`: of a running master. */
export async function orchestratorOf(
  dir: string | null, { grace, pid, env = process.env }: { grace?: number; pid?: number; env?: NodeJS.ProcessEnv } = {},
): Promise<OrchestratorFacts | null> {
  const found = fromEnvironment(env) ?? await fromSystemd(pid, env) ?? (dir === null ? null : fromFiles(dir));
  if (grace === undefined) return found;
  return { name: found?.name ?? 'the orchestrator', polls: found?.polls ?? false, grace, from: '--grace' };
}

function fromEnvironment(env: NodeJS.ProcessEnv): OrchestratorFacts | null {
  for (const [variable, name, grace, polls] of PLATFORMS) {
    if (env[variable] !== undefined) return { name, grace, polls, from: 'its default' };
  }
  return null;
}

/** The unit that a running master, or this command, is part of. */
async function fromSystemd(pid: number | undefined, env: NodeJS.ProcessEnv): Promise<OrchestratorFacts | null> {
  const unit = /([^/\n]+\.service)$/m.exec(textOf(`/proc/${pid ?? 'self'}/cgroup`))?.[1];
  if (unit === undefined || /^user@|^session/.test(unit) || (pid === undefined && env.NOTIFY_SOCKET === undefined)) return null;
  const told = await outputOf('systemctl', ['show', '-p', 'TimeoutStopUSec', '--value', unit]);
  return { name: 'systemd', grace: told === null ? null : secondsOf(told.trim()), from: unit, polls: false };
}

const UNITS: Readonly<Record<string, number>> = { us: 1e-6, ms: 1e-3, s: 1, sec: 1, m: 60, min: 60, h: 3_600 };

/** `1min 30s`, `40`, `infinity`. */
function secondsOf(text: string): number | null {
  const parts = [...text.matchAll(/([\d.]+)\s*([a-z]*)/g)];
  return parts.length === 0 ? null : parts.reduce((sum, [, count, unit = '']) => sum + Number(count) * (UNITS[unit || 's'] ?? 1), 0);
}

/** What each kind of file says in a line of its own; where that is missing its default holds. */
const KINDS: readonly { name: string; file: RegExp; is: RegExp; grace: RegExp; standard: number; polls: boolean }[] = [
  {
    name: 'Kubernetes', file: /\.ya?ml$/, is: /^kind:\s*["']?(?:Deployment|StatefulSet|DaemonSet)\b/m,
    grace: /^\s*terminationGracePeriodSeconds:\s*["']?(\w+)/m, standard: 30, polls: true,
  },
  {
    name: 'Docker Compose', file: /^(?:docker-)?compose.*\.ya?ml$/, is: /^services:/m,
    grace: /^\s*stop_grace_period:\s*["']?(\w+)/m, standard: 10, polls: false,
  },
  { name: 'Fly.io', file: /^fly\.toml$/, is: /^app\b/m, grace: /^\s*kill_timeout\s*=\s*["']?(\w+)/m, standard: 5, polls: false },
  { name: 'systemd', file: /\.service$/, is: /^\[Service\]/m, grace: /^TimeoutStopSec=(.*)$/m, standard: 90, polls: false },
];

function fromFiles(dir: string): OrchestratorFacts | null {
  for (const name of manifestsIn(dir)) {
    const kinds = KINDS.filter(({ file }) => file.test(path.basename(name)));
    const text = kinds.length === 0 ? '' : textOf(path.join(dir, name));
    const kind = kinds.find(({ is }) => is.test(text));
    if (!kind) continue;
    const told = kind.grace.exec(text)?.[1];
    const { name: by, polls, standard } = kind;
    return told === undefined ? { name: by, polls, grace: standard, from: `${name}, its default` }
      : { name: by, polls, grace: secondsOf(told), from: name };
  }
  return null;
}

function manifestsIn(dir: string): string[] {
  return MANIFESTS.flatMap((folder) => {
    try {
      return readdirSync(path.join(dir, folder)).map((name) => path.join(folder, name));
    } catch {
      return [];
    }
  }).filter((name) => /\.(?:ya?ml|toml|service)$/.test(name)).slice(0, MOST);
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8').slice(0, LONGEST);
  } catch {
    return '';
  }
}
