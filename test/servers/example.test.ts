/** The example, run as a user does. */
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { FORMS, launch, python } from './support.js';

const program = fileURLToPath(new URL('../../examples/dist/echo-server.js', import.meta.url));

describe.runIf(existsSync(program))('examples/echo-server', () => {
  it.each(FORMS.filter(({ backend }) => backend === undefined))(
    'serves Python as $name until SIGTERM',
    async (form) => {
      const server = launch(process.execPath, [program, '--style', form.style, '--io', form.io ?? 'reactor']);
      const [line] = await once(server.stdout, 'data');
      const [, port] = /^ready: [\w-]+ on 127\.0\.0\.1:(\d+)\n$/.exec(String(line)) as unknown as [string, string];
      expect(await python(Number(port), 'sequence', 2)).toBe('ok');
      server.kill('SIGTERM');
      expect(await once(server, 'exit')).toEqual([0, null]);
    },
  );

  it('names the style that was meant', async () => {
    const server = launch(process.execPath, [program, '--style', 'recator']);
    const output: string[] = [];
    server.stderr.on('data', (text) => output.push(String(text)));
    // Not 'exit': what it has said may come after that.
    await once(server, 'close');
    expect(output.join('')).toContain("is 'reactor' meant?");
  });
});
