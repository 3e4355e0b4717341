/** The handler that every server style runs: a class in a module of its own, because threads and processes load it there. */
import { StreamRequestHandler } from '@fdset/servers';

export default class EchoHandler extends StreamRequestHandler {
  static readonly module = import.meta.url;

  override async handle(): Promise<void> {
    for (let chunk = await this.rfile.readSome(); chunk !== null; chunk = await this.rfile.readSome()) {
      if (!this.wfile.write(chunk)) await this.wfile.flush();
    }
  }
}
