// The published declarations, in dist/types. What tsc makes is more than a user needs, and names a library that a user does
// not have: files that no entry of the package reaches are left out, and types that are computed from schemas are written
// out, with the descriptions of the keys as their comments. They are CommonJS as the core is, so that a user's CommonJS and
// ES module files can both import them, whatever the compiler's settings (test/types/published.test.ts).
import { readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';

/** Whose types are written out. */
const SCHEMAS = 'valibot';

const { NoTruncation, InTypeAlias, MultilineObjectLiterals, UseSingleQuotesForStringLiteralType, NoErrorTruncation } = ts.NodeBuilderFlags;
const WHOLE = NoTruncation | NoErrorTruncation | InTypeAlias | MultilineObjectLiterals | UseSingleQuotesForStringLiteralType;

/** `entries`: the files, relative to `root`, that users import. `loaded`: declarations that come with the first of them. */
export function buildTypes({ root, out, entries, loaded }) {
  const { config } = ts.readConfigFile(path.join(root, 'tsconfig.types.json'), ts.sys.readFile);
  const { options, fileNames } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  const sources = ts.createProgram(fileNames, { ...options, outDir: out });
  refuse([...ts.getPreEmitDiagnostics(sources), ...sources.emit().diagnostics], root);
  writeFileSync(path.join(out, 'package.json'), '{ "type": "commonjs" }\n');

  const declared = (file) => path.join(out, file.replace(/\.ts$/, '.d.ts'));
  const [first] = entries;
  const from = (file) => path.relative(path.dirname(first), file).replace(/\.ts$/, '.js');
  writeFileSync(declared(first), `${loaded.map((file) => `import '${from(file)}';\n`).join('')}${readFileSync(declared(first), 'utf8')}`);

  const program = ts.createProgram(entries.map(declared), { ...options, noEmit: true, skipLibCheck: true });
  const checker = program.getTypeChecker();
  const reached = program.getSourceFiles().filter(({ fileName }) => fileName.startsWith(out + path.sep));
  for (const file of reached) {
    const text = writtenOut(file, checker);
    if (text !== file.text) writeFileSync(file.fileName, text);
  }
  prune(out, new Set([path.join(out, 'package.json'), ...reached.map(({ fileName }) => fileName)]));
}

function refuse(diagnostics, root) {
  if (diagnostics.length === 0) return;
  const host = { getCanonicalFileName: (name) => name, getCurrentDirectory: () => root, getNewLine: () => '\n' };
  console.error(ts.formatDiagnosticsWithColorAndContext(diagnostics, host));
  process.exit(1);
}

/** The file's text without the library's types: what is inferred from a schema written out, the schemas and their functions gone. */
function writtenOut(file, checker) {
  const imported = file.statements.find((node) => ts.isImportDeclaration(node) && node.moduleSpecifier.text === SCHEMAS);
  if (!imported) return file.text;
  const library = imported.importClause.namedBindings.name.text;
  const gone = new Set();
  const mentions = (node) => {
    let found = false;
    const visit = (inner) => {
      if (ts.isIdentifier(inner) && (inner.text === library || gone.has(inner.text))) found = true;
      else ts.forEachChild(inner, visit);
    };
    ts.forEachChild(node, visit);
    return found;
  };
  const edits = [{ node: imported, text: '' }];
  const drop = (node, names) => {
    for (const { name } of names) gone.add(name.text);
    edits.push({ node, text: '' });
  };
  const rewrite = (node) => {
    if (!mentions(node)) return;
    if (ts.isVariableStatement(node)) drop(node, node.declarationList.declarations);
    else if (ts.isFunctionDeclaration(node)) drop(node, [node]);
    else if (isInferred(node.type)) edits.push({ node: node.type, text: plain(node.type, file, checker) });
    else if (ts.isTypeAliasDeclaration(node)) drop(node, [node]);
    else ts.forEachChild(node, rewrite);
  };
  for (const statement of file.statements) rewrite(statement);
  const text = edits.sort((a, b) => b.node.pos - a.node.pos)
    .reduce((rest, { node, text }) => rest.slice(0, text ? node.getStart(file) : node.pos) + text + rest.slice(node.end), file.text);
  if (new RegExp(`\\b${library}\\.|["']${SCHEMAS}["']`).test(text)) throw new Error(`${file.fileName} still names ${SCHEMAS}\n${text}`);
  return text;
}

/** `v.InferInput<typeof schema>` */
const isInferred = (type) => type !== undefined && ts.isTypeReferenceNode(type) && type.typeArguments?.some(ts.isTypeQueryNode) === true;

/** A computed type as one would have written it. */
function plain(node, file, checker) {
  const written = checker.typeToTypeNode(checker.getTypeFromTypeNode(node), file, WHOLE);
  const schema = node.typeArguments?.[0];
  const described = schema && written.members ? withComments(written, checker.getTypeFromTypeNode(schema), checker) : written;
  const [indent = ''] = /^ */.exec(file.text.slice(file.text.lastIndexOf('\n', node.getStart(file)) + 1)) ?? [];
  return ts.createPrinter().printNode(ts.EmitHint.Unspecified, described, file).replaceAll('\n', `\n${indent}`);
}

/** The descriptions of a schema's keys are the comments of the type's. */
function withComments(literal, schema, checker) {
  const entries = property(core(schema, checker).type, 'entries', checker);
  if (!entries) return literal;
  for (const member of literal.members) {
    const entry = property(entries, member.name.text, checker);
    if (!entry) continue;
    const { type, description } = core(entry, checker);
    if (description) ts.addSyntheticLeadingComment(member, ts.SyntaxKind.MultiLineCommentTrivia, `* ${description} `, true);
    const inner = [member.type, ...(member.type.types ?? [])].find(ts.isTypeLiteralNode);
    if (inner) withComments(inner, type, checker);
  }
  return literal;
}

/** The schema beneath `optional` and `pipe`, and what it is described as. */
function core(type, checker) {
  let description;
  for (;;) {
    const pipe = property(type, 'pipe', checker);
    const inner = pipe ? checker.getTypeArguments(pipe) : [property(type, 'wrapped', checker)];
    description ??= inner.map((part) => part && property(part, 'description', checker)?.value).find(Boolean);
    if (!inner[0]) return { type, description };
    [type] = inner;
  }
}

function property(type, name, checker) {
  const symbol = checker.getPropertyOfType(type, name);
  return symbol && checker.getTypeOfSymbol(symbol);
}

/** Files that are not to be kept, and folders that are empty then. */
function prune(dir, kept) {
  for (const name of readdirSync(dir)) {
    const file = path.join(dir, name);
    if (statSync(file).isDirectory()) prune(file, kept);
    else if (!kept.has(file)) rmSync(file);
  }
  if (readdirSync(dir).length === 0) rmSync(dir, { recursive: true });
}
