import { frameText } from './code-frame.js';
import type { Failure } from './failure.js';

/** Where the page waits for news; nobody else uses it. */
export const NEWS = '/__hatchery/dev-reload';

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', '\'': '&#39;' };
const escape = (text: unknown): string => String(text).replace(/[&<>"']/g, (character) => ESCAPES[character] as string);

/** For programs. */
export const failureJson = ({ title, who, name, message, code, where, frame, stack, output }: Failure): string => JSON.stringify({
  error: {
    title, who, name: name || 'Error', message, code, where, frame: frame && frameText(frame), stack: stack.map(({ text }) => text), output,
  },
}, null, 2);

/** For people. It waits for the next reload and shows itself anew then. */
export const failurePage = (failure: Failure, app: string, method: string): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${escape(failure.title)}: ${escape(failure.message.split('\n')[0])}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<header><span class="dot"></span><span>${escape(app)}</span><span class="who">${escape(failure.who)}</span></header>
<h1>${escape(failure.title)}</h1>
<p class="message">${failure.name && failure.name !== 'Error' ? `<b>${escape(failure.name)}</b> ` : ''}${escape(failure.message)}</p>
${failure.frame ? frame(failure) : failure.where ? `<p class="where">${escape(failure.where)}</p>` : ''}
${failure.stack.length > 0 ? stack(failure) : ''}
${failure.output ? `<section><h2>Its error output</h2><pre class="output">${escape(failure.output)}</pre></section>` : ''}
<footer>This page reloads by itself at the next save.</footer>
</main>
<script>${script(method)}</script>
</body>
</html>
`;

/** The app's own calls; those of Node and of packages when asked. */
function stack({ stack: calls }: Failure): string {
  const item = ({ text, own }: Failure['stack'][number]) => `<li${own ? ' class="own"' : ''}>${escape(text)}</li>`;
  const list = (some: Failure['stack']) => `<ol class="stack">${some.map(item).join('')}</ol>`;
  const own = calls.filter((call) => call.own);
  const whole = own.length === 0 || own.length === calls.length;
  const all = `<details><summary>all ${calls.length} calls</summary>${list(calls)}</details>`;
  return `<section><h2>Stack</h2>${whole ? list(calls) : list(own) + all}</section>`;
}

function frame({ frame, where }: Failure): string {
  if (!frame) return '';
  const rows = frame.lines.map(({ number, text }) => {
    const here = number === frame.line;
    const code = here && frame.column > 0 && frame.column <= text.length ? marked(text, frame.column) : escape(text);
    return `<span class="row${here ? ' here' : ''}"><i>${number}</i>${code || ' '}</span>`;
  });
  return `<figure><figcaption>${escape(where)}</figcaption><pre>${rows.join('')}</pre></figure>`;
}

/** The word, or the character, that begins at a column stands out. */
function marked(text: string, column: number): string {
  const rest = text.slice(column - 1);
  const word = /^(?:[\w$]+|.)/u.exec(rest)?.[0] ?? '';
  return `${escape(text.slice(0, column - 1))}<mark>${escape(word)}</mark>${escape(rest.slice(word.length))}`;
}

const STYLE = `
:root{color-scheme:light dark;
--bg:#f7f7f8;--card:#fff;--text:#1d1f23;--dim:#6b7078;--line:#e3e4e8;--red:#c4283b;--here:#fdecee;--mark:#f9c9cf}
@media (prefers-color-scheme:dark){:root{
--bg:#15171b;--card:#1d2026;--text:#e6e7ea;--dim:#8d939d;--line:#2e323a;--red:#ff7b89;--here:#3a2026;--mark:#7a2e3a}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--text);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:960px;margin:0 auto;padding:40px 24px 64px}
header{display:flex;align-items:center;gap:10px;color:var(--dim);font-size:14px}
.dot{width:10px;height:10px;border-radius:50%;background:var(--red)}
.who{margin-left:auto;font-family:ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:13px}
h1{font-size:26px;line-height:1.25;margin:20px 0 8px;letter-spacing:-.01em}
h2{font-size:12px;text-transform:uppercase;letter-spacing:.08em;color:var(--dim);margin:32px 0 8px;font-weight:600}
.message{margin:0 0 24px;color:var(--red);font-size:18px;white-space:pre-wrap;overflow-wrap:anywhere}
pre,.stack,.where,figcaption{font:13.5px/1.65 ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace}
figure{margin:0;background:var(--card);border:1px solid var(--line);border-radius:10px;overflow:hidden}
figcaption{padding:10px 16px;border-bottom:1px solid var(--line);color:var(--dim)}
pre{margin:0;padding:10px 0;overflow-x:auto;tab-size:4}
.row{display:block;padding-right:16px;min-width:max-content}
.row i{display:inline-block;width:58px;padding-right:18px;text-align:right;color:var(--dim);font-style:normal;user-select:none}
.here{background:var(--here);box-shadow:inset 3px 0 var(--red)}
.here i{color:var(--red)}
mark{background:var(--mark);color:inherit;border-radius:3px;padding:1px 0}
.stack{list-style:none;margin:0;padding:0;color:var(--dim);overflow-wrap:anywhere}
.stack .own{color:var(--text)}
details{margin-top:10px}
summary{cursor:pointer;color:var(--dim);font-size:14px}
.output{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 16px;
white-space:pre-wrap;overflow-wrap:anywhere}
footer{margin-top:40px;padding-top:16px;border-top:1px solid var(--line);color:var(--dim);font-size:14px}
`.replaceAll('\n', '');

/** The answer comes when there is news; whatever it is, even the app's own 404, the page is out of date then. A form is not sent twice. */
const script = (method: string): string => {
  const again = method === 'GET' ? 'location.reload()' : 'location.replace(location.pathname+location.search)';
  const news = `fetch(${JSON.stringify(NEWS)},{cache:'no-store'})`;
  return `(function wait(){${news}.then(function(){${again}},function(){setTimeout(wait,500)})})()`;
};
