/** Where and why a text is not JSON. Own code, because JSON.parse tells no position on Node 20. */
export class JsonError extends Error {
  constructor(readonly line: number, readonly column: number, reason: string) {
    super(reason);
  }
}

/** What Windows' tools write that call it Unicode: with a mark at its beginning, or with a NUL in each plain letter. */
export function isUtf16(bytes: Buffer): boolean {
  const [first, second] = bytes;
  return first === 0xff && second === 0xfe || first === 0xfe && second === 0xff || bytes.length > 1 && (first === 0) !== (second === 0);
}

export const UTF16 = 'it is UTF-16, which nothing here reads: save it as UTF-8 (PowerShell: Out-File -Encoding utf8)';

/** @throws JsonError */
export function parseJson(source: string): unknown {
  const text = source.replace(/^\uFEFF/, '');
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw locate(text) ?? error;
  }
}

const MARK = /[{}[\],:]/.source;
const TEXT = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"/.source;
const SCALAR = /(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.])/.source;
const TOKEN = new RegExp(`[ \\t\\r\\n]*(?:(${MARK})|(${TEXT})|(${SCALAR})|$)`, 'y');

/** What may come next: a table of states, each token leading to the next one. */
type State = 'value' | 'value or ]' | 'key' | 'key or }' | 'colon' | 'comma or end';
const WANTED: Record<State, string> = {
  value: 'a value',
  'value or ]': 'a value or "]"',
  key: 'a key in double quotes',
  'key or }': 'a key in double quotes or "}"',
  colon: '":"',
  'comma or end': '"," or the end',
};

function locate(text: string): JsonError | undefined {
  const open: ('{' | '[')[] = [];
  let state: State = 'value';
  TOKEN.lastIndex = 0;
  for (;;) {
    const from = TOKEN.lastIndex;
    const match = TOKEN.exec(text);
    if (!match) return failure(text, from, state, open);
    const [whole, mark, string, scalar] = match;
    const start = from + whole.length - (mark ?? string ?? scalar ?? '').length;
    const closed: State = 'comma or end';
    const isValue: boolean = state === 'value' || state === 'value or ]';
    const isKey: boolean = state === 'key' || state === 'key or }';
    const inside = open.at(-1);
    if (mark === undefined && string === undefined && scalar === undefined) {
      return state === closed && open.length === 0 ? undefined : failure(text, start, state, open);
    } else if (isValue && (mark === '{' || mark === '[')) {
      open.push(mark);
      state = mark === '{' ? 'key or }' : 'value or ]';
    } else if ((mark === '}' && inside === '{' && (state === closed || state === 'key or }'))
      || (mark === ']' && inside === '[' && (state === closed || state === 'value or ]'))) {
      open.pop();
      state = closed;
    } else if (mark === ',' && state === closed && inside) {
      state = inside === '{' ? 'key' : 'value';
    } else if (mark === ':' && state === 'colon') {
      state = 'value';
    } else if (string !== undefined && isKey) {
      state = 'colon';
    } else if (isValue && mark === undefined) {
      state = closed;
    } else {
      return failure(text, start, state, open);
    }
  }
}

function failure(text: string, position: number, state: State, open: readonly string[]): JsonError {
  const at = position + (/^[ \t\r\n]*/.exec(text.slice(position))?.[0].length ?? 0);
  const lines = text.slice(0, at).split(/\r\n|\r|\n/);
  const found = at >= text.length ? 'the end of the file' : JSON.stringify(/^\w+|^./su.exec(text.slice(at))?.[0]);
  const inside = open.at(-1);
  const wanted = state === 'comma or end' && inside ? `"," or "${inside === '{' ? '}' : ']'}"` : WANTED[state];
  return new JsonError(lines.length, (lines.at(-1) ?? '').length + 1, `expected ${wanted}, found ${found}`);
}
