/** A worker thread for each connection, with a reactor of its own. */
import { serveStyle } from '../style-echo.js';
import { runTarget } from '../target-program.js';

await runTarget((address) => serveStyle(address, { style: 'thread-per-connection', io: 'reactor' }));
