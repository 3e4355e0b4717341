/** The types of plugins: what the compiler knows of the context, and what it refuses. */
import { type Connection, definePlugin, type Plugin, Reactor } from '@fdset/reactor';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { guardEachTest } from '../support/backends.js';
import { thrown } from '../support/waiting.js';

const auth = (user = 'nobody') => definePlugin({ name: 'auth', state: () => ({ user }), setup: () => {} });

const counting = definePlugin({
  name: 'counting',
  state: ({ direction }) => ({ direction, bytes: 0 }),
  setup: () => {},
});

const audit = () =>
  definePlugin({
    name: 'audit',
    requires: [auth, counting],
    state: () => ({ lines: [] as string[] }),
    setup: () => ({
      close(connection) {
        expectTypeOf(connection.context.auth).toEqualTypeOf<{ user: string }>();
        expectTypeOf(connection.context.counting.direction).toEqualTypeOf<'inbound' | 'outbound'>();
        expectTypeOf(connection.context.audit.lines).toEqualTypeOf<string[]>();
      },
    }),
  });

describe('the types of plugins', () => {
  guardEachTest();

  it('flow through use into the context of handlers and connections', () => {
    using reactor = new Reactor().use(auth()).use(counting).use(audit());
    type Context = {
      readonly auth: { user: string };
      readonly counting: { direction: 'inbound' | 'outbound'; bytes: number };
      readonly audit: { lines: string[] };
    };
    expectTypeOf<Awaited<ReturnType<typeof reactor.open>>>().toExtend<Connection<Context>>();
    expectTypeOf<Awaited<ReturnType<typeof reactor.open>>['context']['auth']['user']>().toEqualTypeOf<string>();
    // What has plugins may be used as what has none.
    expectTypeOf(reactor).toExtend<Reactor>();
  });

  it('a missing requirement is an error of the compiler that names it, and one at run time', () => {
    using reactor = new Reactor();
    // @ts-expect-error missing plugin: auth, counting
    expect(thrown(() => reactor.use(audit()))).toMatchObject({ code: 'ERR_PLUGIN_REQUIRES' });
    const half = reactor.use(auth());
    // @ts-expect-error missing plugin: counting
    expect(thrown(() => half.use(audit()))).toMatchObject({ code: 'ERR_PLUGIN_REQUIRES' });
    expect(half.use(counting).use(audit())).toBe(reactor);
  });

  it('a plugin without state has an undefined one, and hooks are checked', () => {
    const none = definePlugin({ name: 'none', setup: () => ({ data: () => null }) });
    expectTypeOf(none).toEqualTypeOf<Plugin<'none', undefined, {}>>();
    // @ts-expect-error an asynchronous hook
    definePlugin({ name: 'late', setup: () => ({ data: async () => null }) });
    // @ts-expect-error no such state
    definePlugin({ name: 'wrong', setup: () => ({ open: (connection) => void connection.context.auth }) });
  });
});
