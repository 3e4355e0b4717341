/** The declarations that a package publishes, as a user's compiler reads them. */
import { createRequire } from 'node:module';
import path from 'node:path';
import ts from 'typescript';

const require = createRequire(import.meta.url);

export class PublishedTypes {
  readonly #folder: string;
  readonly #checker: ts.TypeChecker;
  readonly #entries: readonly ts.SourceFile[];
  readonly #exported: ReadonlySet<ts.Symbol>;

  /** Of the entries by their specifiers, such as '@fdset/reactor': what one of them exports, the others may name. */
  constructor(...specifiers: readonly string[]) {
    const files = specifiers.map((specifier) => require.resolve(specifier).replace(/\.cjs$/, '.d.ts'));
    this.#folder = path.dirname(files[0] as string);
    const program = ts.createProgram(files, {
      target: ts.ScriptTarget.ES2022,
      lib: ['lib.es2022.d.ts', 'lib.esnext.disposable.d.ts', 'lib.dom.asynciterable.d.ts'],
      module: ts.ModuleKind.NodeNext,
      moduleResolution: ts.ModuleResolutionKind.NodeNext,
      // Node's own are not looked at, and their thousands of declarations would take seconds.
      types: [],
    });
    this.#checker = program.getTypeChecker();
    this.#entries = files.map((file) => program.getSourceFile(file) as ts.SourceFile);
    this.#exported = new Set(this.#entries.flatMap((entry) => this.#exportsOf(entry)));
  }

  /** The package's own types that an exported declaration names, although no entry exports them. */
  unexported(): string[] {
    const found = new Set<string>();
    for (const symbol of this.#exported) {
      const look = (node: ts.Node): void => {
        if (ts.isIdentifier(node)) {
          const named = this.#symbolAt(node);
          if (named !== undefined && this.#isOwn(named) && !this.#exported.has(named))
            found.add(`${named.name}, of ${symbol.name}`);
        }
        node.forEachChild(look);
      };
      for (const declaration of symbol.declarations ?? []) if (this.#isHere(declaration)) look(declaration);
    }
    return [...found].sort();
  }

  /** The public members of an exported class or interface that are declared in the package itself; symbols as `[name]`. */
  membersOf(name: string): string[] {
    const symbol = [...this.#exported].find((each) => each.name === name);
    if (symbol === undefined) throw new Error(`no entry exports ${name}`);
    return this.#checker
      .getPropertiesOfType(this.#checker.getDeclaredTypeOfSymbol(symbol))
      .filter((member) => (member.declarations ?? []).some((each) => this.#isHere(each) && !isPrivate(each)))
      .map((member) => member.name.replace(/^__@(\w+)@\d+$/, '[$1]'))
      .filter((member) => member !== '#private')
      .sort();
  }

  /** What `pattern` finds in the docstrings of what is exported. */
  codesIn(pattern: RegExp): Set<string> {
    const found = new Set<string>();
    const look = (node: ts.Node): void => {
      for (const comment of ts.getJSDocCommentsAndTags(node))
        for (const [code] of comment.getText().matchAll(pattern)) found.add(code);
      node.forEachChild(look);
    };
    for (const symbol of this.#exported)
      for (const declaration of symbol.declarations ?? []) if (this.#isHere(declaration)) look(declaration);
    return found;
  }

  #exportsOf(entry: ts.SourceFile): ts.Symbol[] {
    const module = this.#checker.getSymbolAtLocation(entry);
    if (module === undefined) throw new Error(`${entry.fileName} exports nothing`);
    return this.#checker.getExportsOfModule(module).map((symbol) => this.#target(symbol));
  }

  #symbolAt(node: ts.Identifier): ts.Symbol | undefined {
    const symbol = this.#checker.getSymbolAtLocation(node);
    return symbol === undefined ? undefined : this.#target(symbol);
  }

  #target(symbol: ts.Symbol): ts.Symbol {
    return symbol.flags & ts.SymbolFlags.Alias ? this.#checker.getAliasedSymbol(symbol) : symbol;
  }

  /**
   * Whether it is a type of the package. A table that a type is taken from (`keyof typeof TABLE`) is none: the compiler
   * shows its keys.
   */
  #isOwn(symbol: ts.Symbol): boolean {
    const kinds = ts.SymbolFlags.Class | ts.SymbolFlags.Interface | ts.SymbolFlags.TypeAlias;
    return (
      (symbol.flags & kinds) !== 0 &&
      (symbol.declarations ?? []).some(
        (declaration) => ts.isSourceFile(declaration.parent) && this.#isHere(declaration),
      )
    );
  }

  #isHere(declaration: ts.Declaration): boolean {
    return declaration.getSourceFile().fileName.startsWith(this.#folder);
  }
}

/** Declared `private`: shown by its name alone. */
function isPrivate(declaration: ts.Declaration): boolean {
  return (ts.getCombinedModifierFlags(declaration) & ts.ModifierFlags.Private) !== 0;
}
