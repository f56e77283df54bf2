import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { defaultLoaders } from 'cosmiconfig';
import { composeFile, dockerfile, kubernetesManifest, type Recipe } from '../../bin/container-recipes.js';
import { freePort, node, startCluster } from '../helpers/cluster.js';
import { loadedWith } from '../helpers/fake-core.js';
import { Sandbox, SERVER } from './sandbox.js';

const CONFIG = {
  workers: 3, startTimeout: 12_000,
  plugins: { 'graceful-exit': { timeout: 20_000, agentTimeout: 1_000 }, 'health-check': { checkTimeout: 4_000 } },
};

/** The documents of a recipe, and its text. */
async function printed(t: TestContext, words: string[], files: Record<string, unknown> = { '.clusterrc': CONFIG }) {
  const sandbox = new Sandbox(t);
  const texts = Object.entries(files).map(([name, file]) => [name, typeof file === 'string' ? file : JSON.stringify(file)]);
  const dir = sandbox.app('my shop', { 'server.js': SERVER, ...Object.fromEntries(texts) as Record<string, string> });
  const [command = '', ...rest] = words;
  const { code, stdout, stderr } = await sandbox.run([command, '.', ...rest], { cwd: dir });
  return { code, stdout, stderr, dir };
}

/** Of YAML, as anything would read it. */
const parsed = (text: string): any[] => // eslint-disable-line @typescript-eslint/no-explicit-any -- what kubectl makes of it
  text.split(/^---$/m).map((one) => defaultLoaders['.yaml']('recipe.yaml', one) as unknown);

/** Instructions of a Dockerfile: continued lines joined, comments left out. */
const instructions = (text: string): [word: string, rest: string][] => text.replaceAll('\\\n', '').split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
  .map((line) => [line.split(' ', 1)[0] as string, line.slice(line.indexOf(' ') + 1)]);

const KNOWN = ['FROM', 'WORKDIR', 'ENV', 'COPY', 'RUN', 'USER', 'EXPOSE', 'HEALTHCHECK', 'CMD'];

test('docker: a Dockerfile of known instructions, the command in exec form, the time to stop above the drain\'s', async (t) => {
  const { code, stdout } = await printed(t, ['docker', '--port', '8080'], { '.clusterrc': CONFIG, 'package-lock.json': {} });
  assert.equal(code, 0);
  const steps = instructions(stdout);
  assert.deepEqual(steps.filter(([word]) => !KNOWN.includes(word)), []);
  assert.equal(steps[0]?.[0], 'FROM');
  const of = (word: string): string => steps.find(([one]) => one === word)?.[1] ?? '';
  assert.deepEqual(JSON.parse(of('CMD')), ['node_modules/.bin/framework', 'start', '--port', '8080']);
  assert.equal(of('EXPOSE'), '8080');
  assert.equal(of('RUN'), 'npm ci --omit=dev');
  assert.equal(of('COPY'), 'package.json package-lock.json ./');
  assert.match(of('HEALTHCHECK'), /--timeout=5s --start-period=29s /);
  assert.match(stdout, /^# +docker run --stop-timeout 26 --cpus 3 --memory 704m -p 8080:8080 my-shop$/m);
});

test('docker --compose: the time to stop and the limits', async (t) => {
  const { stdout } = await printed(t, ['docker', '--compose', '--memory', '1Gi', '--cpus', '0.5', '--image', 'registry.example/shop:1'],
    { '.clusterrc': { ...CONFIG, balance: 'os' } });
  const [{ services }] = parsed(stdout);
  assert.deepEqual(services, { 'my-shop': {
    build: '.', image: 'registry.example/shop:1', restart: 'unless-stopped', init: true, stop_grace_period: '26s',
    cpus: 0.5, mem_limit: '1024m', ports: ['7001:7001'],
  } });
});

test('kubernetes: probes, time to stop and limits are those of the configuration', async (t) => {
  const { stdout } = await printed(t, ['kubernetes', '--port', '8080', '--replicas', '4']);
  const [deployment, service] = parsed(stdout);
  assert.deepEqual([deployment.kind, deployment.metadata.name, deployment.spec.replicas], ['Deployment', 'my-shop', 4]);
  const { spec } = deployment.spec.template;
  // 5 s until endpoints are gone, 20 s of drain, 1 s for the agent, and a margin.
  assert.equal(spec.terminationGracePeriodSeconds, 31);
  const [container] = spec.containers;
  assert.deepEqual(container.command, ['node_modules/.bin/framework', 'start', '--port', '8080']);
  assert.deepEqual(Object.fromEntries(container.env.map(({ name, value }: { name: string; value: string }) => [name, value])), {
    NODE_ENV: 'production', CLUSTER_HEALTH_PORT: '9000', CLUSTER_HEALTH_HOST: '0.0.0.0', CLUSTER_SHUTDOWN_DELAY: '5000',
  });
  assert.deepEqual(container.ports, [{ name: 'http', containerPort: 8080 }, { name: 'health', containerPort: 9000 }]);
  assert.deepEqual(container.resources.limits, { cpu: '3', memory: '704Mi' });
  const { startupProbe, readinessProbe, livenessProbe } = container;
  assert.deepEqual(startupProbe,
    { httpGet: { path: '/readyz', port: 'health' }, timeoutSeconds: 5, periodSeconds: 2, failureThreshold: 15 });
  assert.deepEqual([readinessProbe.httpGet.path, livenessProbe.httpGet.path], ['/readyz', '/livez']);
  assert.deepEqual([service.kind, service.spec.ports], ['Service', [{ name: 'http', port: 80, targetPort: 'http' }]]);
});

test('the kernel\'s setting that lets a queue survive its worker goes with balance: "reuse-port"', () => {
  const recipe: Recipe = {
    config: { ...loadedWith().config, balance: 'reuse-port' }, isAuto: false, isAlone: false, hasAgent: true,
    command: ['framework', 'start'],
    files: new Set(), image: 'shop', replicas: 1, cpus: null, memory: null,
  };
  assert.match(dockerfile(recipe), /docker run .* --sysctl net\.ipv4\.tcp_migrate_req=1 /);
  assert.deepEqual(parsed(composeFile(recipe))[0].services.unit.sysctls, { 'net.ipv4.tcp_migrate_req': 1 });
  // On Kubernetes a pod that asks for it is refused where the node does not allow it.
  assert.match(kubernetesManifest(recipe), /^ +# +sysctls: \[\{ name: net\.ipv4\.tcp_migrate_req, value: "1" \}\]$/m);
  assert.equal(parsed(kubernetesManifest(recipe))[0].spec.template.spec.containers[0].resources.limits.memory, '704Mi');
});

test('of one process: no agent to wait for, the room of one, and the flag is kept', async (t) => {
  const { stdout } = await printed(t, ['kubernetes', '--workers', '0']);
  const { spec } = parsed(stdout)[0].spec.template;
  const [container] = spec.containers;
  assert.equal(spec.terminationGracePeriodSeconds, 30);
  assert.equal(container.startupProbe.failureThreshold, 9);
  assert.deepEqual(container.command, ['node_modules/.bin/framework', 'start', '--workers', '0']);
  assert.deepEqual(container.resources.limits, { cpu: '1', memory: '256Mi' });
  const docker = await printed(t, ['docker', '--workers', '0']);
  assert.match(docker.stdout, /^# +docker run --stop-timeout 25 --cpus 1 --memory 256m -p 7001:7001 my-shop$/m);
  const unit = await printed(t, ['systemd', '--workers', '0']);
  assert.match(unit.stdout, /^ExecStart=.* --workers 0$/m);
  assert.doesNotMatch(unit.stdout, /^ExecReload/m);
  const config = await printed(t, ['config', '--workers', '0']);
  assert.match(config.stdout, /^process +one, the command's own/m);
});

test('what the configuration says itself is not said again', async (t) => {
  const plugins = { 'graceful-exit': { shutdownDelay: 8_000 }, 'health-check': { port: 9_100, host: '::' } };
  const { stdout } = await printed(t, ['kubernetes'], { '.clusterrc': { workers: 'auto', plugins, host: '127.0.0.1' } });
  const [container] = parsed(stdout)[0].spec.template.spec.containers;
  assert.deepEqual(container.env.map(({ name }: { name: string }) => name), ['NODE_ENV', 'HOST']);
  assert.equal(container.ports[1].containerPort, 9_100);
  assert.equal(parsed(stdout)[0].spec.template.spec.terminationGracePeriodSeconds, 48);
  assert.equal(container.resources.limits.cpu, '2');
  const queue = await printed(t, ['kubernetes'], { '.clusterrc': { server: false } });
  assert.equal(parsed(queue.stdout).length, 1, 'no Service: there is nothing to connect to');
});

test('the recipe works: with its variables the probes answer, its health check says so', async (t) => {
  const { stdout, dir } = await printed(t, ['docker'], { '.clusterrc': { workers: 1 } });
  const steps = instructions(stdout);
  const [health, port] = [await freePort(), await freePort()];
  const variables = steps.filter(([word]) => word === 'ENV').map(([, pair]) => pair.split('=') as [string, string]);
  const env = { ...Object.fromEntries(variables), CLUSTER_HEALTH_PORT: String(health) };
  const cluster = await startCluster(t, path.join(dir, 'server.js'), { env, port });
  const check = /CMD (.*)$/.exec(steps.find(([word]) => word === 'HEALTHCHECK')?.[1] ?? '')?.[1] ?? '';
  const [, ...words] = JSON.parse(check.replace('9000', String(health))) as string[];
  const status = (): number | null => spawnSync(node, words, { timeout: 10_000 }).status;
  assert.equal(status(), 0);
  await cluster.stop();
  assert.equal(status(), 1);
});

test('wrong input: one line, exit code 2, nothing printed', async (t) => {
  for (const [words, files, says] of [
    [['docker', '--memory', '512Q'], {}, '--memory: expected a size such as 512Mi or 1Gi, found "512Q"'],
    [['docker', '--cpus', '0'], {}, '--cpus: expected a number from above 0 to 1024, found "0"'],
    [['kubernetes', '--replicas', '0'], {}, '--replicas: expected a whole number from 1 up, found "0"'],
    [['kubernetes', '--image', 'a b'], {}, '--image: expected the name of an image, found "a b"'],
    [['kubernetes', '--replica', '1'], {}, '--replica: unknown flag, did you mean "--replicas"?'],
    [['docker', '--port', '0'], {}, 'docker: port 0 is another one at each start: name one with --port'],
    [['docker', '--config', '../elsewhere.json'], { '../elsewhere.json': {} },
      /^--config: \.\.\/elsewhere\.json lies outside of .*my shop, which is/],
    [['kubernetes'], { '.clusterrc': { plugins: { 'graceful-exit': { timeout: '20s' } } } },
      '.clusterrc: plugins.graceful-exit.timeout: expected whole milliseconds from 0 up, found "20s"'],
    [['kubernets'], {}, 'unknown command "kubernets", did you mean "kubernetes"?'],
  ] as [string[], Record<string, unknown>, string | RegExp][]) {
    const { code, stdout, stderr } = await printed(t, words, files);
    assert.deepEqual([code, stdout], [2, ''], words.join(' '));
    if (typeof says === 'string') assert.equal(stderr.trim(), says);
    else assert.match(stderr, says);
    assert.equal(stderr.trim().split('\n').length, 1);
  }
});
