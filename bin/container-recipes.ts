import { mostWorkers, workerRange } from '../lib/config/check.js';
import type { Config } from '../lib/config/schema.js';
import { graceOf, healthOf, MARGIN, startSeconds, stopSeconds } from './recipe.js';

/** What a recipe is made of. */
export interface Recipe {
  config: Config;
  /** The number of workers is counted where the app runs. */
  isAuto: boolean;
  /** The app runs in the command's process, and there is no other. */
  isAlone: boolean;
  /** There will be an agent, as far as its module or framework tells. */
  hasAgent: boolean;
  /** The command in the image, a word each: from the app's directory. */
  command: readonly string[];
  /** Names of files in the app's directory. */
  files: ReadonlySet<string>;
  image: string;
  replicas: number;
  /** Processors, and memory in MiB; null: what the workers need. */
  cpus: number | null;
  memory: number | null;
}

/** The port of probes, where the configuration names none, and the app has not got it. */
const HEALTH_PORTS = [9_000, 9_001] as const;
/** Processors, where the number of workers follows them. */
const PROCESSORS = 2;
/** How long endpoints and balancers may take to learn that a process goes, where nobody has said it, ms. */
const SHUTDOWN_DELAY = 5_000;
/** What a process of an app of middle size has, the master and the kernel's own part, MiB. */
const PROCESS = 160;
const MASTER = 64;
const LOOPBACK = /^(?:localhost|127\.|::1$|\[::1\]$)/;

/** What a container has otherwise than the app elsewhere, by variables, and the numbers that follow from it. */
interface Figures {
  variables: Record<string, string>;
  healthPort: number;
  /** Null: there is nothing that others could connect to. */
  port: number | null;
  stop: number;
  start: number;
  /** How long a probe may take, s. */
  probe: number;
  cpus: number;
  memory: number;
  grace: ReturnType<typeof graceOf>;
}

/** `isShared`: others than this container ask its probes, and endpoints are slow to go. */
function figuresOf({ config, isAuto, isAlone, memory, hasAgent, ...given }: Recipe, { isShared }: { isShared: boolean }): Figures {
  const { reload, host, path, server, port } = config;
  const health = healthOf(config);
  const healthPort = health.port || (port === HEALTH_PORTS[0] ? HEALTH_PORTS[1] : HEALTH_PORTS[0]);
  const own = { ...graceOf(config), ...(isAlone ? { agentTimeout: 0 } : {}) };
  const waits = isShared && config.plugins['graceful-exit'] !== false;
  const grace = { ...own, shutdownDelay: waits ? own.shutdownDelay || SHUTDOWN_DELAY : own.shutdownDelay };
  const cpus = given.cpus ?? (isAuto ? PROCESSORS : mostWorkers(config));
  const workers = isAuto ? Math.ceil(cpus) : mostWorkers(config);
  const processes = isAlone ? 1 : workers + Math.min(reload.batch, workers) + (hasAgent ? 1 : 0);
  return {
    variables: {
      NODE_ENV: 'production',
      ...(server && host !== undefined && LOOPBACK.test(host) ? { HOST: '0.0.0.0' } : {}),
      ...(health.port ? {} : { CLUSTER_HEALTH_PORT: String(healthPort) }),
      ...(isShared && LOOPBACK.test(health.host) ? { CLUSTER_HEALTH_HOST: '0.0.0.0' } : {}),
      ...(grace.shutdownDelay === own.shutdownDelay ? {} : { CLUSTER_SHUTDOWN_DELAY: String(grace.shutdownDelay) }),
    },
    healthPort,
    port: server && path === undefined ? port : null,
    stop: stopSeconds(grace),
    start: startSeconds(config, isAlone ? 1 : 2),
    probe: Math.ceil(health.checkTimeout / 1000) + 1,
    cpus,
    memory: memory ?? Math.ceil((MASTER + processes * PROCESS) / 64) * 64,
    grace,
  };
}

const seconds = (ms: number): string => `${Number((ms / 1000).toFixed(3))} s`;

/** What a stop waits for, in words. */
const stopInWords = ({ grace: { timeout, agentTimeout, shutdownDelay } }: Figures): string => [
  ...(shutdownDelay > 0 ? [`${seconds(shutdownDelay)} until nobody sends requests any more`] : []),
  `${seconds(timeout)} for what is in flight`,
  ...(agentTimeout > 0 ? [`${seconds(agentTimeout)} for the agent`] : []),
].join(', ');

/** How dependencies are installed, by the file that pins them. */
const INSTALLS: readonly [file: string, install: string][] = [
  ['package-lock.json', 'npm ci --omit=dev'],
  ['npm-shrinkwrap.json', 'npm ci --omit=dev'],
  ['pnpm-lock.yaml', 'corepack enable && pnpm install --frozen-lockfile --prod'],
  ['.yarnrc.yml', 'corepack enable && yarn workspaces focus --production'],
  ['yarn.lock', 'yarn install --frozen-lockfile --production'],
];

const LOCKS = INSTALLS.map(([file]) => file);

/** Names as Docker and Kubernetes have them: small letters, digits and dashes, a letter first. */
export function nameOf(title: string): string {
  const name = title.toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-+/, '');
  return (/^[a-z]/.test(name) ? name : `app-${name}`).slice(0, 63).replace(/-+$/, '');
}

const oneLine = (text: string): string => JSON.stringify(text.replace(/\s+/g, ' '));

export function dockerfile(recipe: Recipe): string {
  const { config, command, files, image, isAlone } = recipe;
  const figures = figuresOf(recipe, { isShared: false });
  const { port, stop, start, probe, cpus, memory, healthPort } = figures;
  const [, install] = INSTALLS.find(([file]) => files.has(file)) ?? [null, 'npm install --omit=dev'];
  const options = [
    `--stop-timeout ${stop}`, `--cpus ${cpus}`, `--memory ${memory}m`,
    ...(config.balance === 'reuse-port' ? [`--sysctl ${SYSCTL.name}=${SYSCTL.value}`] : []),
    ...(port === null ? [] : [`-p ${port}:${port}`]),
  ];
  return `# Dockerfile of ${oneLine(config.title)}
#   docker build -t ${image} .
#   docker run ${options.join(' ')} ${image}
# A stop may take ${stop - MARGIN} s (${stopInWords(figures)}): Docker's own 10 s would cut it short.
# A .dockerignore keeps node_modules, logs and .git of this machine out of it.
FROM node:${process.versions.node.split('.')[0]}-slim
WORKDIR /app
${Object.entries(figures.variables).map(([name, value]) => `ENV ${name}=${value}`).join('\n')}
COPY ${['package.json', ...LOCKS.filter((file) => files.has(file))].join(' ')} ./
RUN ${install}
COPY . .
USER node
${port === null ? '' : `EXPOSE ${port}\n`}HEALTHCHECK --interval=10s --timeout=${probe}s --start-period=${start}s --retries=3 \\
  CMD ["node", "-e", "fetch('http://127.0.0.1:${healthPort}/readyz').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# ${isAlone ? 'The app' : 'The master'} is PID 1 and gets the signals itself: no shell and no npm stands in front of it. It reaps no
# processes that others have orphaned; an app that starts daemons wants docker run --init.
CMD ${JSON.stringify(command)}
`;
}

/** What a queue of the kernel needs to survive its worker, with SO_REUSEPORT. */
const SYSCTL = { name: 'net.ipv4.tcp_migrate_req', value: '1' };

export function composeFile(recipe: Recipe): string {
  const { config, image } = recipe;
  const figures = figuresOf(recipe, { isShared: false });
  const { port, stop, cpus, memory } = figures;
  return `# compose.yaml of ${oneLine(config.title)}
services:
  ${nameOf(config.title)}:
    build: .
    image: ${JSON.stringify(image)}
    restart: unless-stopped
    # PID 1 is then docker-init, which reaps what the app's own processes have orphaned, and passes signals on.
    init: true
    # A stop may take ${stop - MARGIN} s: ${stopInWords(figures)}.
    stop_grace_period: ${stop}s
    cpus: ${cpus}
    mem_limit: ${memory}m
${port === null ? '' : `    ports:\n      - "${port}:${port}"\n`}${config.balance === 'reuse-port'
  ? `    sysctls:\n      ${SYSCTL.name}: ${SYSCTL.value}\n` : ''}`;
}

export function kubernetesManifest(recipe: Recipe): string {
  const { config, command, image, replicas, isAuto, isAlone } = recipe;
  const figures = figuresOf(recipe, { isShared: true });
  const { port, healthPort, stop, start, probe, cpus, memory, variables } = figures;
  const name = nameOf(config.title);
  const probeOf = (path: string, rest: string): string => `
            httpGet: { path: ${path}, port: health }
            timeoutSeconds: ${probe}
            ${rest}`;
  const size = `{ cpu: "${cpus}", memory: ${memory}Mi }`;
  const given = isAlone ? 'One process' : `Workers, as configured: ${mostWorkers(config)}${workerRange(config) ? ' at most' : ''}`;
  const counted = isAuto && !isAlone ? 'The number of workers is what the CPU limit is, rounded up' : given;
  const scheme = config.https ? 'https' : 'http';
  const ports = [...(port === null ? [] : [[scheme, port]]), ['health', healthPort]];
  return `# ${oneLine(config.title)} on Kubernetes
apiVersion: apps/v1
kind: Deployment
metadata:
  name: ${name}
  labels: { app: ${name} }
spec:
  replicas: ${replicas}
  strategy:
    rollingUpdate: { maxUnavailable: 0, maxSurge: 1 }
  selector:
    matchLabels: { app: ${name} }
  template:
    metadata:
      labels: { app: ${name} }
    spec:
      # A stop may take ${stop - MARGIN} s: ${stopInWords(figures)}.
      terminationGracePeriodSeconds: ${stop}
      # PID 1 is ${isAlone ? 'the app' : 'the master'}. Where the app starts daemons, this has the pod's own init reap them:
      # shareProcessNamespace: true
${config.balance === 'reuse-port' ? `      # For balance: "reuse-port", on nodes whose kubelet has --allowed-unsafe-sysctls=${SYSCTL.name}:
      # securityContext:
      #   sysctls: [{ name: ${SYSCTL.name}, value: "${SYSCTL.value}" }]
` : ''}      containers:
        - name: ${name}
          image: ${JSON.stringify(image)}
          # No shell and no npm in front of it: it gets SIGTERM itself. No preStop either: CLUSTER_SHUTDOWN_DELAY, or
          # graceful-exit's shutdownDelay, is how long it goes on serving while endpoints are slow to go.
          command: ${JSON.stringify(command)}
          env:
${Object.entries(variables).map(([key, value]) => `            - { name: ${key}, value: "${value}" }`).join('\n')}
          ports:
${ports.map(([key, value]) => `            - { name: ${key}, containerPort: ${value} }`).join('\n')}
          resources:
            # ${counted}. Memory: measure it.
            requests: ${size}
            limits: ${size}
          # ${start} s, within which it is ready or has given up itself.
          startupProbe:${probeOf('/readyz', `periodSeconds: 2
            failureThreshold: ${Math.ceil(start / 2)}`)}
          readinessProbe:${probeOf('/readyz', `periodSeconds: 5
            failureThreshold: 2`)}
          # ${isAlone ? 'The app itself answers: where it hangs, nobody else replaces it'
    : 'The master alone answers: a worker that hangs is its to replace, and no reason to kill the pod'}.
          livenessProbe:${probeOf('/livez', `periodSeconds: 10
            failureThreshold: 3`)}
${port === null ? '' : `---
apiVersion: v1
kind: Service
metadata:
  name: ${name}
spec:
  selector: { app: ${name} }
  ports:
    - { name: ${scheme}, port: ${config.https ? 443 : 80}, targetPort: ${scheme} }
`}`;
}
