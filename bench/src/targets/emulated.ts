/** The same program as reactor.ts, on the emulated backend: node:net underneath. */
import { serveEcho } from '../reactor-echo.js';
import { runTarget } from '../target-program.js';

await runTarget((address) => serveEcho(address, 'emulated'));
