/** Small plugins, and connections that go through them. */
import {
  type Connection,
  definePlugin,
  type Hooks,
  type InetAddress,
  type Plugin,
  type PluginHost,
  type Reactor,
} from '@fdset/reactor';
import { afterTest } from './after-test.js';

/** A plugin that is nothing but its hooks. */
export const hooked = (
  name: string,
  hooks: Hooks<{}> | ((host: PluginHost) => Hooks<{}>),
  order?: 'pre' | 'post',
): Plugin<string, undefined, {}> =>
  definePlugin({
    name,
    setup: (host) => (typeof hooks === 'function' ? hooks(host) : hooks),
    ...(order === undefined ? {} : { order }),
  });

/** Another text in the place of the chunk. */
export const marked = (mark: string) => (_connection: Connection, chunk: Uint8Array) =>
  Buffer.from(`${Buffer.from(chunk)}${mark}`);

/** An outbound connection, which is destroyed when the test is over. */
export async function opened(reactor: Reactor, address: InetAddress, options = {}): Promise<Connection> {
  const connection = await reactor.open(address, options);
  afterTest(() => connection.destroy());
  return connection;
}
