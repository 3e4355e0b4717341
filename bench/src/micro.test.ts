import { describe, expect, it } from 'vitest';
import { renderSuite } from './micro.js';
import type { MicroCase } from './micro-suite.js';

const each = (name: string, hz: number): MicroCase => ({
  name,
  reference: 'bare',
  hz,
  rme: 1,
  bytesPerOperation: 1000,
  sample: [1 / hz],
});

describe('the table of a micro suite', () => {
  it('relates each case to the reference of the same pass, and shows the range', () => {
    const table = renderSuite('x', [
      { suite: 'x', pass: 1, cases: [each('bare', 1000), each('ours', 500)] },
      { suite: 'x', pass: 2, cases: [each('ours', 2000), each('bare', 2000)] },
      { suite: 'x', pass: 3, cases: [each('bare', 1000), each('ours', 800)] },
    ]);
    expect(table).toMatch('0.80 (0.50-1.00)');
    expect(table).toMatch('1.00 ms');
    expect(table).toMatch(/│ bare .* 1 │/);
  });
});
