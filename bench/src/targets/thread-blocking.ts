/** A worker thread for each connection, in calls that block. */
import { serveStyle } from '../style-echo.js';
import { runTarget } from '../target-program.js';

await runTarget((address) => serveStyle(address, { style: 'thread-per-connection', io: 'blocking' }));
