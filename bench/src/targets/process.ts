/** A process for each connection, which inherits the descriptor. */
import { serveStyle } from '../style-echo.js';
import { runTarget } from '../target-program.js';

await runTarget((address) => serveStyle(address, { style: 'process-per-connection' }));
