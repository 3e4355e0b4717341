export { SERVER_ERRORS, ServerError, type ServerErrorCode } from './errors.js';
export {
  BaseRequestHandler,
  type IoMode,
  type RequestContext,
  type RequestHandlerClass,
  type ServerView,
  type StreamConnection,
  StreamRequestHandler,
} from './handlers.js';
export type { ServerOptions } from './options.js';
export { createServer, type Server } from './server.js';
export type { ServerEvents, ServerHealth, ServerStats } from './server-events.js';
export { STYLE_NAMES, type StyleName } from './styles/registry.js';
export type { WorkerInfo } from './styles/style.js';
