import assert from 'node:assert/strict';

export interface Family { type: string; help: string; samples: { labels: Record<string, string>; value: number }[] }

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LABELS = /\{((?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*",?)*)\}/;
const VALUE = /-?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Inf)|NaN/;
const SAMPLE = new RegExp(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:${LABELS.source})? (${VALUE.source})(?: \\d+)?$`, 'i');

/** Parses Prometheus' text format strictly (gauges and counters); throws at what a scraper or `promtool check metrics` would refuse. */
export function parsePrometheus(text: string): Map<string, Family> {
  assert.ok(text.endsWith('\n'), 'the last line has to end');
  const families = new Map<string, Family>();
  const seen = new Set<string>();
  for (const line of text.split('\n')) {
    const [, keyword, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (keyword) {
      assert.match(name, NAME);
      const family = families.get(name) ?? { type: '', help: '', samples: [] };
      assert.equal(family.samples.length, 0, `${name}: ${keyword} after its samples`);
      assert.equal(keyword === 'HELP' ? family.help : family.type, '', `${name}: a second ${keyword}`);
      if (keyword === 'HELP') family.help = rest;
      else family.type = rest;
      families.set(name, family);
    } else if (line !== '' && !line.startsWith('#')) {
      const [, sample = '', labels = '', value] = SAMPLE.exec(line) ?? assert.fail(`no sample: ${line}`);
      const family = families.get(sample) ?? assert.fail(`${sample} has no TYPE`);
      assert.ok([...families.keys()].at(-1) === sample, `${sample} is not in one piece`);
      const key = `${sample}{${labels}}`;
      assert.ok(!seen.has(key), `twice: ${key}`);
      seen.add(key);
      family.samples.push({
        labels: Object.fromEntries([...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, label, text_]) => [label, text_])),
        value: Number(value),
      });
    }
  }
  for (const [name, { type, help }] of families) {
    assert.ok(help, `${name} has no HELP`);
    assert.ok(type === 'gauge' || type === 'counter', `${name}: ${type}`);
    assert.equal(name.endsWith('_total'), type === 'counter', `${name} is a ${type}`);
  }
  return families;
}
