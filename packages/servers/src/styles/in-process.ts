/** Serves connections in this thread, on the server's reactor: for the styles that differ only in how many at once. */
import type { Address, Connection, Socket } from '@fdset/reactor';
import { codeOf, shutdownError } from '../errors.js';
import { loadHandler } from '../handler-source.js';
import type { RequestHandlerClass } from '../handlers.js';
import { runHandler } from '../run-handler.js';
import type { Serving, Style, StyleHost } from './style.js';

export class InProcessStyle implements Style {
  readonly limit: number;
  readonly inProcess = true;
  readonly #host: StyleHost;
  #Handler: RequestHandlerClass | undefined;

  constructor(host: StyleHost, limit: number) {
    this.#host = host;
    this.limit = limit;
    this.#Handler = host.source.handlerClass;
  }

  async prepare(): Promise<void> {
    this.#Handler ??= await loadHandler(this.#host.source.module as string);
  }

  serve(socket: Socket, clientAddress: Address): Serving {
    let connection: Connection;
    try {
      connection = this.#host.reactor.connection(socket, {}, this.#host.settings.connection);
    } catch (error) {
      socket.close();
      throw error;
    }
    let kill = (): void => {};
    const killed = new Promise<void>((resolve) => {
      kill = resolve;
    });
    return {
      done: Promise.race([this.#run(connection, clientAddress), killed]),
      end: () => connection.destroy(shutdownError()),
      kill,
    };
  }

  async #run(connection: Connection, clientAddress: Address): Promise<void> {
    try {
      await runHandler(this.#Handler as RequestHandlerClass, {
        connection,
        clientAddress,
        server: this.#host.view(),
      });
    } catch (error) {
      if (codeOf(error) !== 'ERR_SERVER_SHUTDOWN') this.#host.failed(error, clientAddress);
    }
    // The handler is done and the next one may begin: that the peer hangs up, too, is waited for aside.
    void connection.close();
  }
}
