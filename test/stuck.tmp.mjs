import { Worker } from 'node:worker_threads';

const source = `
        import { parentPort } from 'node:worker_threads';
        import { Reactor } from '@fdset/reactor';
        const reactor = new Reactor();
        const listener = await reactor.listen({ host: '127.0.0.1', port: 0 });
        const socket = await reactor.connect(listener.localAddress);
        parentPort.postMessage('stuck');
        ${process.env.STUCK}
        parentPort.postMessage('never');`;
const worker = new Worker(source, { eval: true, execArgv: ['--input-type=module'] });
worker.on('message', (text) => {
  process.on('exit', () => console.log(Date.now()));
  setTimeout(() => process.exit(4), 30);
});
