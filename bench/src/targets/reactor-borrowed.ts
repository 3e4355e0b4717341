/** The same program as reactor.ts, with `borrowChunks`: chunks are the reactor's, valid until the handler returns. */
import { serveEcho } from '../reactor-echo.js';
import { runTarget } from '../target-program.js';

await runTarget((address) => serveEcho(address, 'kernel', { borrowChunks: true }));
