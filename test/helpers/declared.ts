import { readFileSync } from 'node:fs';
import ts from 'typescript';

const parsed = (file: string): ts.SourceFile => ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true);

const isExported = (node: ts.Node): boolean =>
  ts.canHaveModifiers(node) && (ts.getModifiers(node) ?? []).some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword);

/** Names that a module exports, types too. */
export function exportsOf(file: string): string[] {
  return parsed(file).statements.flatMap((node) => {
    if (ts.isExportDeclaration(node) && node.exportClause && ts.isNamedExports(node.exportClause)) {
      return node.exportClause.elements.map(({ name }) => name.text);
    }
    const { name } = node as ts.Statement & { name?: ts.Node };
    return isExported(node) && name && ts.isIdentifier(name) ? [name.text] : [];
  });
}

/** Names of an interface's members, or of a class's public ones, without what it extends or an index signature. */
export function membersOf(file: string, type: string): string[] {
  const found = parsed(file).statements.find((node): node is ts.InterfaceDeclaration | ts.ClassDeclaration =>
    (ts.isInterfaceDeclaration(node) || ts.isClassDeclaration(node)) && node.name?.text === type);
  if (!found) throw new Error(`${file} declares no ${type}`);
  const names = [...found.members].flatMap(({ name }) => name && ts.isIdentifier(name) ? [name.text] : []);
  return [...new Set(names)];
}
