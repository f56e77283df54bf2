/** What is done in Redis in one step. Times are Redis's own: clocks of hosts play no part. */

/** `{token, 0, highest}`: it is the caller's, or was already; `{0, ms, highest}`: ask again then. */
const ACQUIRE = `
local lease, tokens, era = KEYS[1], KEYS[2], KEYS[3]
local name, holder, ttl, floor = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local highest = math.max(tonumber(redis.call('HGET', tokens, name) or 0), floor)
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') or 'unknown'
local known = redis.call('HMGET', era, 'run', 'since')
local since = tonumber(known[2] or 0)
if known[1] ~= run or since > now then
  since = now
  redis.call('HSET', era, 'run', run, 'since', string.format('%.0f', now))
end
local held = redis.call('GET', lease)
if held then
  local token, who = string.match(held, '^(%d+) (.*)$')
  if who == holder then
    redis.call('PEXPIRE', lease, ttl)
    return { token, 0, token }
  end
  return { '0', math.max(redis.call('PTTL', lease), 1), string.format('%.0f', math.max(highest, tonumber(token))) }
end
local quiet = since + ttl * 1000 - now
if quiet > 0 then return { '0', math.ceil(quiet / 1000), string.format('%.0f', highest) } end
local token = string.format('%.0f', math.max(now, highest + 1))
redis.call('HSET', tokens, name, token)
redis.call('SET', lease, token .. ' ' .. holder, 'PX', ttl)
return { token, 0, token }`;

/** 1: it goes on; 0: it is not the caller's any more. */
const RENEW = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`;

/** Free, if it is the caller's; the others hear of it. */
const RELEASE = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', 'free', ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return 1`;

/** Messages of one instance, in order. */
const SEND = `
for at = 4, #ARGV do redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'from', ARGV[1], 'message', ARGV[at]) end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return #ARGV - 3`;

/** An instance is there. */
const BEAT = `
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], ARGV[1], (time[1] * 1000 + math.floor(time[2] / 1000)) .. ' ' .. ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1`;

/** Those that were heard of lately, as `{id, age, report}`, and leases, as `{name, value, ms}`. Others are forgotten. */
const LIST = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local all, instances = redis.call('HGETALL', KEYS[1]), {}
for at = 1, #all, 2 do
  local seen, report = string.match(all[at + 1], '^(%d+) (.*)$')
  local age = now - tonumber(seen or 0)
  if report and age <= tonumber(ARGV[1]) then table.insert(instances, { all[at], math.max(age, 0), report })
  else redis.call('HDEL', KEYS[1], all[at]) end
end
local names, leases = redis.call('HKEYS', KEYS[2]), {}
for _, name in ipairs(names) do
  local held = redis.call('GET', ARGV[2] .. name)
  if held then table.insert(leases, { name, held, redis.call('PTTL', ARGV[2] .. name) }) end
end
return { instances, leases }`;

/** Messages that are kept for hosts that are away for a while, and how long after the last one, ms. */
export const KEPT = 5_000;
const KEPT_FOR = 3_600_000;

const script = (text: string, keys: readonly string[], args: readonly (string | number)[]): string[] =>
  ['EVAL', text, String(keys.length), ...keys, ...args.map(String)];

/** The commands of one group of instances, by the prefix of its keys. */
export function commands(prefix: string) {
  // The braces keep all of them in one node of a Redis Cluster: a script may not use keys of several.
  const [stream, tokens, era, instances] = ['messages', 'tokens', 'era', 'instances'].map((name) => `{${prefix}}:${name}`) as
    [string, string, string, string];
  const leases = `{${prefix}}:lease:`;
  return {
    probe: () => ['EXISTS', era],
    acquire: (name: string, holder: string, ttl: number, floor: number) =>
      script(ACQUIRE, [leases + name, tokens, era], [name, holder, ttl, floor]),
    renew: (name: string, token: number, holder: string, ttl: number) => script(RENEW, [leases + name], [`${token} ${holder}`, ttl]),
    release: (name: string, token: number, holder: string) =>
      script(RELEASE, [leases + name, stream], [`${token} ${holder}`, name, KEPT, KEPT_FOR]),
    send: (instance: string, messages: readonly string[]) => script(SEND, [stream], [instance, KEPT, KEPT_FOR, ...messages]),
    beat: (instance: string, report: string, ttl: number) => script(BEAT, [instances], [instance, report, 10 * ttl]),
    leave: (instance: string) => ['HDEL', instances, instance],
    list: (age: number) => script(LIST, [instances, tokens], [age, leases]),
    end: () => ['XINFO', 'STREAM', stream],
    read: (after: string, count: number, block?: number) =>
      ['XREAD', 'COUNT', String(count), ...(block === undefined ? [] : ['BLOCK', String(block)]), 'STREAMS', stream, after],
  };
}
