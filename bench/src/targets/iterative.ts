/** One client after the other. */
import { serveStyle } from '../style-echo.js';
import { runTarget } from '../target-program.js';

await runTarget((address) => serveStyle(address, { style: 'iterative' }));
