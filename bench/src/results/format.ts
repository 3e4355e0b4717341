/** Figures for people: three significant digits and a unit. */
import type { Spread } from './statistics.js';

const missing = '-';

/** 1234567 -> `1.23 M`. */
export function count(value: number | undefined): string {
  if (value === undefined) return missing;
  if (value >= 1e6) return `${(value / 1e6).toPrecision(3)} M`;
  if (value >= 1e4) return `${(value / 1e3).toPrecision(3)} k`;
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

/** Microseconds -> `456 ns`, `12.3 us`, `4.56 ms`, `1.20 s`. */
export function microseconds(value: number | undefined): string {
  if (value === undefined) return missing;
  if (value >= 999_500) return `${(value / 1e6).toPrecision(3)} s`;
  if (value >= 999.5) return `${(value / 1e3).toPrecision(3)} ms`;
  if (value >= 0.1 || value === 0) return `${value.toPrecision(3)} us`;
  return `${(value * 1000).toPrecision(3)} ns`;
}

export function bytes(value: number | undefined): string {
  if (value === undefined) return missing;
  if (Math.abs(value) >= 2 ** 20) return `${(value / 2 ** 20).toPrecision(3)} MiB`;
  if (Math.abs(value) >= 10_000) return `${(value / 2 ** 10).toPrecision(3)} KiB`;
  return `${value.toFixed(0)} B`;
}

export function percent(value: number | undefined): string {
  return value === undefined ? missing : `${(value * 100).toFixed(1)} %`;
}

/** Seconds -> `45 s`, `3 min 20 s`. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  return whole < 90 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

const ratioFigure = (value: number) => value.toFixed(value < 10 ? 3 : 1);

/** The median, and the quartiles where there are several pairs: `0.962 (0.953-0.971)`. */
export function ratio(spread: Spread | undefined): string {
  if (!spread) return missing;
  const [lower, upper] = spread.quartiles;
  const quartiles = spread.count > 1 ? ` (${ratioFigure(lower)}-${ratioFigure(upper)})` : '';
  return ratioFigure(spread.median) + quartiles;
}
