export const LIMITS: Readonly<Record<string, Readonly<Record<string, string>>>>;
