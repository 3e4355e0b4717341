/** `Connection` with one handler object shared by all connections, over the kernel's readiness. */
import { serveEcho } from '../reactor-echo.js';
import { runTarget } from '../target-program.js';

await runTarget((address) => serveEcho(address, 'kernel'));
