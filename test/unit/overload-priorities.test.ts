import assert from 'node:assert/strict';
import test from 'node:test';
import * as v from 'valibot';
import { schema } from '../../plugins/overload/options.js';
import { pathOf, Priorities } from '../../plugins/overload/priorities.js';

test('the path of a request, whatever stands around it', () => {
  for (const [target, path] of [
    ['/', '/'], ['/a/b?c=/d', '/a/b'], ['/a#b', '/a'], ['http://host:80/a?b', '/a'], ['http://host', '/'], ['*', '*'], ['', '/'],
    ['//health', '//health'], ['http://host?x', '/'],
  ] as const) assert.equal(pathOf(target), path, target);
});

test('the first rule that fits holds; paths of health checks are before them all', () => {
  const priorities = new Priorities({ never: ['/healthz', '/probe/*'], rules: [
    { path: '/pay/*', method: 'POST', priority: 'high' },
    { path: '/pay/*', priority: 'normal' },
    { method: ['GET', 'HEAD'], priority: 'low' },
    { path: '/healthz', priority: 'low' },
    { path: '/*', priority: 'high' },
  ] });
  for (const [method, target, priority] of [
    ['POST', '/pay/1', 'high'], ['GET', '/pay/1', 'normal'], ['GET', '/', 'low'], ['HEAD', '/x?y', 'low'], ['DELETE', '/x', 'high'],
    ['GET', '/healthz', 'never'], ['GET', '/healthz?full=1', 'never'], ['GET', '/healthzz', 'low'], ['PUT', '/probe/', 'never'],
    ['OPTIONS', '*', 'normal'],
  ] as const) assert.equal(priorities.of(method, target), priority, `${method} ${target}`);
});

test('options that are wrong are told with their place, and what is allowed', () => {
  const told = (options: unknown) => {
    const { issues = [] } = v.safeParse(schema, options);
    return issues.map(({ path, message }) => `${path?.map(({ key }) => String(key)).join('.')}: ${message}`);
  };
  for (const [options, expected] of [
    [{ target: 0 }, /^target: expected milliseconds from 1 to 60000, found 0$/],
    [{ interval: '1s' }, /^interval: expected milliseconds from 10 to 60000, found "1s"$/],
    [{ requests: 0 }, /^requests: expected a whole number from 1 up, found 0$/],
    [{ retryAfter: 0.5 }, /^retryAfter: expected seconds from 1 to 3600, found 0.5$/],
    [{ never: ['health'] }, /^never.0: expected a path such as "\/health", .*, found "health"$/],
    [{ never: '/health' }, /^never: expected a list of paths, found "\/health"$/],
    [{ rules: [{ priority: 'low' }] }, /^rules.0: expected a path, a method, or both$/],
    [{ rules: [{ path: '/x', priority: 'lowest' }] }, /^rules.0.priority: expected "low", "normal", "high", "never", found "lowest"$/],
    [{ rules: [{ path: '/x' }] }, /^rules.0.priority: expected "low", "normal", "high", "never", found undefined$/],
    [{ rules: [{ method: [], priority: 'low' }] }, /^rules.0.method: expected a method such as "GET", or a list of them, found \[\]$/],
    [{ rules: [{ method: 'get', priority: 'low' }] }, /^rules.0.method: expected a method such as "GET", or a list of them/],
    [{ rules: [{ path: '/x', prio: 'low', priority: 'low' }] }, /^rules.0.prio: /],
    [{ acceptor: 'yes' }, /^acceptor: expected true or false, found "yes"$/],
    [{ limit: 3 }, /^limit: /],
  ] as const) assert.match(told(options).join('\n'), expected, JSON.stringify(options));
  assert.deepEqual(told({}), []);
  assert.deepEqual(told({ rules: [{ path: '/x', method: ['GET', 'M-SEARCH'], priority: 'never' }], requests: 100 }), []);
});
