/** The same program as reactor.ts, with an idle timeout on every connection: long enough that none expires in a run. */
import { serveEcho } from '../reactor-echo.js';
import { runTarget } from '../target-program.js';

await runTarget((address) => serveEcho(address, 'kernel', { idleMs: 3_600_000 }));
