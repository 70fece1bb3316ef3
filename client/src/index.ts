export type * from './events/index.js';
export type { ClientErrorCode, ErrorDetails } from './error.js';
export { TallywireError } from './error.js';
export { createClient } from './client.js';
export { isEvent } from './guard.js';
export type * from './types/index.js';
