/** reactor.waker: a call into a reactor from any thread of its process. */
import { INTERRUPTED, Reactor, Waker, type WakerHandle, WOULD_BLOCK } from '@fdset/reactor';
import { expect, it } from 'vitest';
import { describeBackends, REAL_BACKENDS } from '../support/backends.js';
import { NodeProcess, runNode } from '../support/node-process.js';
import { Thread } from '../support/threads.js';
import { uncaught } from '../support/uncaught.js';
import { Log, rounds, thrown, until } from '../support/waiting.js';

const FIXTURE = new URL('./fixtures/waker.mjs', import.meta.url);
const RINGER = new URL('./fixtures/ringer.mjs', import.meta.url);

describeBackends(
  'wakers',
  (stage) => {
    const thread = (workerData: object = {}): Thread => new Thread(FIXTURE, workerData, { backend: stage.backend });

    it('a wake calls back in the thread of the waker, and not within the call (30)', async () => {
      const reactor = stage.reactor();
      const calls = new Log<string>();
      const waker = reactor.waker(() => calls.add('woken'));
      expect(waker.wake()).toBe(true);
      expect(calls.entries).toEqual([]);
      await calls.reaches(1);
      expect(Waker.from(structuredClone(waker.handle)).wake()).toBe(true);
      await calls.reaches(2);
    });

    it('another thread is woken by a handle that came as plain data (30)', async () => {
      const other = thread();
      const waker = Waker.from(await other.tells<WakerHandle>(0));
      expect(waker.wake()).toBe(true);
      expect(await other.tells(1)).toBe('woken 1');
      expect(waker.wake()).toBe(true);
      expect(await other.tells(2)).toBe('woken 2');
    });

    it('100,000 wakes of a thread that is busy are one call (30)', async () => {
      const shared = new Int32Array(new SharedArrayBuffer(8));
      const other = thread({ shared });
      const waker = Waker.from(await other.tells<WakerHandle>(0));
      other.worker.postMessage('spin');
      expect(await other.tells(1)).toBe('spinning');
      for (let i = 0; i < 100_000; i += 1) waker.wake();
      Atomics.store(shared, 1, 1);
      expect(await other.tells(2)).toBe('spun');
      expect(await other.tells(3)).toBe('woken 1');
      // One more, which is told after any that were left over.
      waker.wake();
      expect(await other.tells(4)).toBe('woken 2');
      expect(Atomics.load(shared, 0)).toBe(2);
    });

    it('no wake is lost: what a thread wrote before its wake is seen by the callback (30)', async () => {
      const reactor = stage.reactor();
      const counters = new Int32Array(new SharedArrayBuffer(16));
      const rings = 5000;
      let seen = 0;
      let wakes = 0;
      const done = new Promise<void>((resolve) => {
        const waker = reactor.waker(() => {
          wakes += 1;
          seen = counters.reduce((sum, count) => sum + count, 0);
          if (seen === 4 * rings) resolve();
        });
        for (let i = 0; i < 4; i += 1)
          new Thread(RINGER, { handle: waker.handle, counters, index: i, rings }, { backend: stage.backend });
      });
      await done;
      expect(seen).toBe(4 * rings);
      expect(wakes).toBeLessThanOrEqual(4 * rings);
    });

    it('a closed waker is woken in vain, and says so (L9)', async () => {
      const reactor = stage.reactor();
      let calls = 0;
      const waker = reactor.waker(() => {
        calls += 1;
      });
      const { handle } = waker;
      waker.wake();
      waker.close();
      waker.close();
      expect([waker.wake(), Waker.from(handle).wake()]).toEqual([false, false]);
      // The next one takes its place in the table; the old handle is not its.
      const next = reactor.waker(() => {
        calls += 100;
      });
      expect(Waker.from(handle).wake()).toBe(false);
      await rounds(5);
      expect(calls).toBe(0);
      next.close();
    });

    it('a waker is closed with its reactor (L9)', () => {
      const reactor = new Reactor({ backend: stage.choice() });
      const waker = reactor.waker(() => {});
      reactor.close();
      expect(waker.wake()).toBe(false);
      waker.unref().ref().close();
      expect(thrown(() => reactor.waker(() => {}))).toMatchObject({ code: 'ERR_REACTOR_CLOSED' });
    });

    it('a waker whose thread has ended by itself is woken in vain, also when its place has another one (L9, 97)', async () => {
      const other = thread();
      const handle = await other.tells<WakerHandle>(0);
      other.worker.postMessage('close');
      other.worker.postMessage('exit');
      await other.ended;
      expect(Waker.from(handle).wake()).toBe(false);
      const next = thread();
      await next.tells(0);
      expect(Waker.from(handle).wake()).toBe(false);
      await rounds(20);
      expect(next.told.entries).toHaveLength(1);
    });

    stage.needs('rawDescriptors')('a waker whose thread was terminated is woken in vain (L9, 97)', async () => {
      for (const busy of [false, true]) {
        const shared = new Int32Array(new SharedArrayBuffer(8));
        const other = thread({ shared });
        const waker = Waker.from(await other.tells<WakerHandle>(0));
        if (busy) other.worker.postMessage('spin');
        if (busy) await other.tells(1);
        expect(waker.wake()).toBe(true);
        await other.worker.terminate();
        expect(waker.wake()).toBe(false);
      }
    });

    stage.needs('blocking')(
      'a thread that blocks in a verb is interrupted once, and called back when it is done (30)',
      async () => {
        const other = thread();
        const waker = Waker.from(await other.tells<WakerHandle>(0));
        other.worker.postMessage('block');
        expect(await other.tells(1)).toBe('blocking');
        // Before it waits or after it has begun: the wait ends either way.
        waker.wake();
        expect(await other.tells(2)).toEqual({ result: INTERRUPTED, again: WOULD_BLOCK, woken: 0 });
        expect(await other.tells(3)).toBe('woken 1');
        // And the wake that was served interrupts nothing later.
        waker.wake();
        expect(await other.tells(4)).toBe('woken 2');
        other.worker.postMessage('block');
        expect(await other.tells(5)).toBe('blocking');
        await new Promise((resolve) => setTimeout(resolve, 50));
        expect(other.told.entries).toHaveLength(6);
        waker.wake();
        expect(await other.tells(6)).toEqual({ result: INTERRUPTED, again: WOULD_BLOCK, woken: 2 });
      },
    );

    it('an open waker keeps its thread alive, unless ref is false; a closed one does not (46)', async () => {
      const held = thread();
      await held.tells(0);
      const free = thread({ ref: false });
      expect(await free.ended).toBe(0);
      // Without its listener the waker alone holds it.
      const program = new NodeProcess(
        `import { Reactor } from '@fdset/reactor';
       const waker = new Reactor().waker(() => { console.log('woken'); waker.close(); });
       setTimeout(() => waker.wake(), 50).unref();`,
        { backend: stage.backend },
      );
      expect(await program.ended()).toMatchObject({ code: 0, lines: ['woken'], stderr: '' });
      const unheld = await runNode(
        `import { Reactor } from '@fdset/reactor';
       new Reactor().waker(() => {}).unref();
       new Reactor().waker(() => {}, { ref: false });`,
        { backend: stage.backend },
      );
      expect(unheld).toMatchObject({ code: 0, stderr: '' });
      expect(held.worker.threadId).toBeGreaterThan(0);
    });

    it('what a callback throws is an uncaughtException, and the waker goes on', async () => {
      const reactor = stage.reactor();
      const raised = uncaught();
      let calls = 0;
      const waker = reactor.waker(() => {
        calls += 1;
        if (calls === 1) throw new Error('from the callback');
      });
      waker.wake();
      expect((await raised).message).toBe('from the callback');
      waker.wake();
      await until(() => calls === 2);
    });

    it('what is no handle, and no function, is refused', () => {
      const reactor = stage.reactor();
      for (const wrong of [undefined, null, 7, 'handle', {}, { pid: 1 }, { pid: process.pid, id: 'a name' }])
        expect(thrown(() => Waker.from(wrong as never))).toMatchObject({ code: 'ERR_REACTOR_ARGUMENT' });
      expect(thrown(() => reactor.waker('callback' as never))).toMatchObject({ code: 'ERR_REACTOR_ARGUMENT' });
      const { handle } = reactor.waker(() => {});
      // Another process's: its numbers mean nothing here.
      expect(Waker.from({ ...handle, pid: handle.pid + 1 }).wake()).toBe(false);
    });
  },
  { only: REAL_BACKENDS, timeoutMs: 30_000 },
);
