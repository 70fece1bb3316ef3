export { openPoll } from './poll.js';
export { openSSE } from './sse.js';
