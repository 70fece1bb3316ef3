export { openPoll as poll } from './poll.js';
export { openSSE as sse } from './sse.js';
