/** The paths of listening unix sockets: stale ones, permissions, and their end (A9, 93). */
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { afterTest } from '../support/after-test.js';
import { describeBackends } from '../support/backends.js';
import { NetPeer } from '../support/net-peer.js';
import { NodeProcess, runNode } from '../support/node-process.js';
import { PythonPeer } from '../support/python-peer.js';
import { accepted, owned } from '../support/sockets.js';
import { rejection } from '../support/waiting.js';

/** A path in a folder of its own, gone after the test. */
function freePath(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'fdset-'));
  afterTest(() => rmSync(folder, { recursive: true }));
  return path.join(folder, 'socket');
}

/** A path that a process has bound and left. */
async function stalePath(): Promise<string> {
  const at = freePath();
  const { peer } = await PythonPeer.listen();
  await peer.do('listen_at', { path: at });
  await peer.do('close');
  expect(lstatSync(at).isSocket()).toBe(true);
  return at;
}

function permissions(of: string): string {
  return `0o${(statSync(of).mode & 0o777).toString(8)}`;
}

describeBackends('unix paths', (stage) => {
  stage.real('path in the file system')(
    'a stale path is replaced: it is a socket, and nobody answers (A9)',
    async () => {
      const reactor = stage.reactor();
      const at = await stalePath();
      const listener = owned(await reactor.listen({ path: at }));
      await NetPeer.connect({ path: at });
      expect((await accepted(reactor, listener)).family).toBe('unix');
    },
  );

  it('the path of a server that was killed is taken over by the next one (A9)', async () => {
    const at = freePath();
    const server = new NodeProcess(
      `import { Reactor } from '@fdset/reactor';
       await new Reactor().serve({ path: process.argv[1] }, {});
       console.log('listening');`,
      { backend: stage.backend, args: [at] },
    );
    await server.line(0);
    server.child.kill('SIGKILL');
    await server.ended();
    expect(existsSync(at)).toBe(true);
    const listener = await stage.reactor().serve({ path: at }, {});
    await listener.close();
    expect(existsSync(at)).toBe(false);
  });

  stage.real('path in the file system')(
    'a path on which somebody listens is EADDRINUSE, and stays his, also when his queue is full (A9)',
    async () => {
      const reactor = stage.reactor();
      for (const full of [false, true]) {
        const at = freePath();
        const { peer } = await PythonPeer.listen();
        await peer.do('listen_at', { path: at, backlog: full ? 0 : 8 });
        if (full) await NetPeer.connect({ path: at });
        const { ino } = lstatSync(at);
        expect(await rejection(reactor.listen({ path: at }))).toMatchObject({ code: 'EADDRINUSE', address: at });
        expect(lstatSync(at).ino).toBe(ino);
      }
    },
  );

  stage.real('path in the file system')(
    'what is no socket is never removed: a file, a folder, a link to a stale socket (A9)',
    async () => {
      const reactor = stage.reactor();
      const file = freePath();
      writeFileSync(file, 'precious');
      const link = freePath();
      symlinkSync(await stalePath(), link);
      for (const at of [file, path.dirname(file), link])
        expect(await rejection(reactor.listen({ path: at }))).toMatchObject({ code: 'EADDRINUSE', address: at });
      expect(readFileSync(file, 'utf8')).toBe('precious');
      expect(lstatSync(link).isSymbolicLink()).toBe(true);
    },
  );

  stage.real('path in the file system')('a folder that is not there is told as it is', async () => {
    const reactor = stage.reactor();
    const missing = path.join(freePath(), 'below');
    expect((await rejection(reactor.listen({ path: missing }))).code).toMatch(/^(ENOENT|EACCES)$/);
  });

  it('a path that is too long is ENAMETOOLONG (93)', async () => {
    const long = path.join(path.dirname(freePath()), 'x'.repeat(120));
    expect(await rejection(stage.reactor().listen({ path: long }))).toMatchObject({ code: 'ENAMETOOLONG' });
  });

  stage.real('path in the file system')(
    'close removes the path, once, of a listener and of a socket (93)',
    async () => {
      const reactor = stage.reactor();
      const at = freePath();
      const listener = await reactor.serve({ path: at }, {});
      expect(lstatSync(at).isSocket()).toBe(true);
      await listener.close();
      await listener.close();
      expect(existsSync(at)).toBe(false);
      const socket = await reactor.listen({ path: at });
      socket.close();
      expect(existsSync(at)).toBe(false);
      await reactor.serve({ path: at }, {});
      reactor.close();
      expect(existsSync(at)).toBe(false);
    },
  );

  stage.needs('rawDescriptors')('close leaves a path that is another file by then (A9, 93)', async () => {
    const reactor = stage.reactor();
    const at = freePath();
    const first = await reactor.listen({ path: at });
    // Another server has replaced it, as some do for an upgrade without a gap.
    renameSync(at, `${at}.old`);
    const second = await reactor.listen({ path: at });
    const { ino } = lstatSync(at);
    first.close();
    expect(lstatSync(at).ino).toBe(ino);
    second.close();
    expect(existsSync(at)).toBe(false);
    const third = await reactor.listen({ path: at });
    rmSync(at);
    writeFileSync(at, 'mine now');
    third.close();
    expect(readFileSync(at, 'utf8')).toBe('mine now');
  });

  stage.needs('rawDescriptors')(
    'reset removes the path too; detach, and a second name of it, leave one (93)',
    async () => {
      const reactor = stage.reactor();
      const at = freePath();
      const reset = await reactor.listen({ path: at });
      linkSync(at, `${at}.other`);
      reset.reset();
      expect([existsSync(at), existsSync(`${at}.other`)]).toEqual([false, true]);
      const given = await reactor.listen({ path: at });
      const fd = given.detach();
      given.close();
      expect(existsSync(at)).toBe(true);
      // Who takes it over did not make the path.
      owned(await reactor.listen({ fd })).close();
      expect(existsSync(at)).toBe(true);
    },
  );

  stage.needs('rawDescriptors')('a relative path is removed although the working directory has changed', async () => {
    const at = freePath();
    const { lines, stderr } = await runNode(
      `import { existsSync } from 'node:fs';
       import { Reactor } from '@fdset/reactor';
       const reactor = new Reactor();
       process.chdir(process.argv[1]);
       const listener = await reactor.serve({ path: 'socket' }, {});
       console.log(existsSync('socket'));
       process.chdir('/');
       await listener.close();
       console.log(existsSync(process.argv[1] + '/socket'));`,
      { backend: stage.backend, args: [path.dirname(at)] },
    );
    expect([lines, stderr]).toEqual([['true', 'false'], '']);
  });

  stage.real('path in the file system')('the path of an accepted connection stays when that is closed', async () => {
    const reactor = stage.reactor();
    const at = freePath();
    const listener = owned(await reactor.listen({ path: at }));
    await NetPeer.connect({ path: at });
    (await accepted(reactor, listener)).close();
    expect(existsSync(at)).toBe(true);
  });

  stage.real('path in the file system')(
    'a folder that is not ours to write any more keeps the path, and close does not throw',
    async () => {
      const reactor = stage.reactor();
      const at = freePath();
      const listener = await reactor.serve({ path: at }, {});
      renameSync(path.dirname(at), `${path.dirname(at)}.moved`);
      await listener.close();
      expect(lstatSync(path.join(`${path.dirname(at)}.moved`, 'socket')).isSocket()).toBe(true);
      renameSync(`${path.dirname(at)}.moved`, path.dirname(at));
    },
  );

  stage.needs('rawDescriptors')('mode is the path’s permissions, whatever the umask (A9)', async () => {
    const reactor = stage.reactor();
    for (const mode of [0o600, 0o660, 0o777, 0]) {
      const at = freePath();
      owned(await reactor.listen({ path: at }, { mode }));
      expect(permissions(at)).toBe(`0o${mode.toString(8)}`);
    }
    const at = freePath();
    const listener = await reactor.serve({ path: at }, {}, { mode: 0o620 });
    expect(permissions(at)).toBe('0o620');
    await listener.close();
  });

  stage.needs('rawDescriptors')(
    'bind itself makes the path with the mode: there is no moment with wider permissions (A9)',
    async () => {
      const at = freePath();
      // With no umask the path would be for everybody until it is changed, and there is nobody to change it.
      const { code, lines } = await runNode(
        `import fs from 'node:fs';
       import { syncBuiltinESMExports } from 'node:module';
       process.umask(0);
       fs.chmodSync = () => { throw new Error('chmod after bind'); };
       syncBuiltinESMExports();
       const { Reactor } = await import('@fdset/reactor');
       const listener = await new Reactor().serve({ path: process.argv[1] }, {}, { mode: 0o600 });
       console.log((fs.lstatSync(process.argv[1]).mode & 0o777).toString(8));
       await listener.close();`,
        { backend: stage.backend, args: [at] },
      );
      expect([code, lines]).toEqual([0, ['600']]);
    },
  );

  it('a wrong mode is refused, and so is one where there are no permissions', async () => {
    const reactor = stage.reactor();
    const at = freePath();
    for (const mode of ['0600', -1, 0o1000, 1.5, null])
      expect(await rejection(reactor.listen({ path: at }, { mode: mode as number }))).toMatchObject({
        code: 'ERR_REACTOR_ARGUMENT',
      });
    for (const target of [{ host: '127.0.0.1', port: 0 }, { path: '\0fdset-abstract' }])
      expect(await rejection(reactor.listen(target, { mode: 0o600 }))).toMatchObject({ code: 'ERR_REACTOR_ARGUMENT' });
    if (!stage.capabilities.rawDescriptors) {
      const error = await rejection(reactor.listen({ path: at }, { mode: 0o600 }));
      expect(error).toMatchObject({ code: 'ENOTSUP', message: expect.stringContaining("'rawDescriptors'") });
    }
    expect(existsSync(at)).toBe(false);
  });

  stage.needs('rawDescriptors')('a stale path keeps nothing of its permissions', async () => {
    const reactor = stage.reactor();
    const at = await stalePath();
    chmodSync(at, 0o777);
    owned(await reactor.listen({ path: at }, { mode: 0o600 }));
    expect(permissions(at)).toBe('0o600');
  });
});
