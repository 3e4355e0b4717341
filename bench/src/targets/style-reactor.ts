/** All connections in one thread, through the same handler class as the other styles. */
import { serveStyle } from '../style-echo.js';
import { runTarget } from '../target-program.js';

await runTarget((address) => serveStyle(address, { style: 'reactor' }));
