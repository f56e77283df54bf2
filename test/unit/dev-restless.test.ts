import assert from 'node:assert/strict';
import { mock, test, type TestContext } from 'node:test';
import { Restless } from '../../plugins/dev-reload/restless.js';

/** A clock that the test moves. */
function clock(t: TestContext) {
  let now = 0;
  mock.method(performance, 'now', () => now);
  t.after(() => mock.restoreAll());
  return { get now() { return now; }, wait(ms: number) { now += ms; } };
}

const LOADED = { loaded: true, written: false };
const OTHER = { loaded: false, written: false };

test('what the app itself has written is no change; where it has loaded it, it counts twice', (t) => {
  const time = clock(t);
  const restless = new Restless();
  const judge = (file: string, loaded: boolean) => restless.judge(file, { at: time.now, loaded, written: true }).verdict;
  const verdicts = { other: [] as string[], loaded: [] as string[] };
  for (let n = 0; n < 3; n++) {
    time.wait(5_000);
    verdicts.other.push(judge('schema.gql', false));
    verdicts.loaded.push(judge('routes.json', true));
  }
  assert.deepEqual(verdicts, { other: ['own', 'own', 'own'], loaded: ['counts', 'counts', 'out'] });
});

test('what changes at three starts in a row at about the same moment is left out; what somebody saves meanwhile is not', (t) => {
  const time = clock(t);
  const run = (moments: number[], how = OTHER) => {
    const restless = new Restless();
    return moments.map((moment) => {
      restless.started();
      time.wait(moment);
      const { verdict } = restless.judge('a.json', { at: time.now, ...how });
      time.wait(3_000);
      restless.finished();
      time.wait(10_000);
      return verdict;
    });
  };
  assert.deepEqual(run([2_200, 2_350, 2_190]), ['counts', 'counts', 'out']);
  assert.deepEqual(run([50, 400, 20]), ['counts', 'counts', 'out']);
  assert.deepEqual(run([700, 1_900, 1_200, 400]), ['counts', 'counts', 'counts', 'counts']);
  assert.ok(!run(Array.from({ length: 30 }, (_, n) => 100 + 37 * n % 160), LOADED).includes('out'));
  assert.equal(run(Array.from({ length: 10 }, (_, n) => 100 + n), LOADED).at(-1), 'out');
});

test('what changes faster than anybody saves is left out; code is not, but waits', (t) => {
  const time = clock(t);
  const restless = new Restless();
  const judge = (file: string, how: typeof OTHER) => restless.judge(file, { at: time.now, ...how }).verdict;
  const verdicts: [string, string][] = [];
  restless.started();
  restless.finished();
  for (let n = 0; n < 10; n++) {
    time.wait(150);
    verdicts.push([judge('data.json', OTHER), judge('app.js', LOADED)]);
  }
  assert.deepEqual(verdicts.slice(0, 6).map(([other]) => other), ['counts', 'counts', 'counts', 'counts', 'counts', 'out']);
  assert.deepEqual(verdicts.map(([, code]) => code), [...Array<string>(9).fill('counts'), 'slow']);
});
