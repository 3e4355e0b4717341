/** Where a handler class comes from: given as a class, or as the URL of the module that exports it. */
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, messageOf, misuse, ServerError } from './errors.js';
import { isHandlerClass, type RequestHandlerClass } from './handlers.js';

export interface HandlerSource {
  /** The class, where it was given; styles that run it in another thread or process load it by `module`. */
  readonly handlerClass: RequestHandlerClass | undefined;
  /** The URL of the module. */
  readonly module: string | undefined;
}

/** Checks the option `handler`. `ERR_SERVER_HANDLER_CLASS` for what can be no handler. */
export function handlerSource(given: unknown): HandlerSource {
  if (typeof given === 'function') {
    if (!isHandlerClass(given))
      throw misuse(
        'ERR_SERVER_HANDLER_CLASS',
        `handler must be a class that extends StreamRequestHandler or BaseRequestHandler and has a method handle, got ${describe(given)}`,
      );
    return { handlerClass: given, module: given.module === undefined ? undefined : moduleUrl(given.module) };
  }
  return { handlerClass: undefined, module: moduleUrl(given) };
}

/** The URL of a module that was given as a URL, a path, or `import.meta.url`. */
function moduleUrl(given: unknown): string {
  if (given instanceof URL) return given.href;
  if (typeof given === 'string') {
    // A path is taken from the working directory, as a command line gives it.
    if (/^\.{0,2}[\\/]/.test(given) || path.isAbsolute(given)) return pathToFileURL(path.resolve(given)).href;
    if (/^(file|data|node):/.test(given)) return given;
  }
  throw misuse(
    'ERR_SERVER_HANDLER_CLASS',
    `handler must be a request handler class, or the module of one as a URL or as a path that begins with '/' or './', got ${describe(given)}`,
  );
}

/** `ERR_SERVER_HANDLER_MODULE` if the handler cannot be loaded by module, as `style` does it. */
export function requireModule(source: HandlerSource, style: string): string {
  if (source.module !== undefined) return source.module;
  throw misuse(
    'ERR_SERVER_HANDLER_MODULE',
    `the style '${style}' loads its handler by module: give ${describe(source.handlerClass)} a \`static module = import.meta.url\` and make it the default export of that module, or give the URL of such a module as handler`,
  );
}

/** Imports the module and gives its default export. `ERR_SERVER_HANDLER_MODULE`, with a cause where it failed to load. */
export async function loadHandler(module: string): Promise<RequestHandlerClass> {
  let exported: { default?: unknown };
  try {
    exported = (await import(module)) as { default?: unknown };
  } catch (error) {
    if ((error as { code?: unknown } | null)?.code === 'ERR_SERVER_NESTED') throw error;
    throw new ServerError(
      'ERR_SERVER_HANDLER_MODULE',
      `the handler module ${module} cannot be loaded: ${messageOf(error)}`,
      {
        cause: error,
      },
    );
  }
  let handler = exported.default;
  // A CommonJS module compiled from ESM: its default export is a property of what `import` calls the default.
  if (typeof handler === 'object' && handler !== null && 'default' in handler) handler = handler.default;
  if (isHandlerClass(handler)) return handler;
  throw new ServerError(
    'ERR_SERVER_HANDLER_MODULE',
    `the default export of ${module} must be a class that extends StreamRequestHandler or BaseRequestHandler, got ${describe(handler)}`,
  );
}
