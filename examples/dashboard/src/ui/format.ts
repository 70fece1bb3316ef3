const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const clockFormat = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });

export const integer = (n: number): string => whole.format(n);
export const clock = (time: string | number): string => clockFormat.format(new Date(time));

/** "35.2%"; as many digits all the time, so that what stands beside it stays where it is. */
export const percent = (n: number, after = 1): string => `${n.toFixed(after)}%`;

/** "1:05" for 65 seconds, "1:00:05" for an hour and five. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const two = (n: number): string => String(n % 60).padStart(2, '0');
  const [minutes, hours] = [Math.floor(seconds / 60), Math.floor(seconds / 3_600)];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds)}` : `${minutes}:${two(seconds)}`;
}

/** "just now", "3 min ago". */
export function ago(time: string, now: number): string {
  const seconds = Math.round((now - Date.parse(time)) / 1000);
  if (seconds < 10) return 'just now';
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ago`;
  return clock(time);
}

/** Groups the digits of a decimal text as `integer` does; it never becomes a float. */
export function digits(amount: string): string {
  const [, sign = '', before = amount, after = ''] = /^(-?)(\d+)(.*)$/.exec(amount) ?? [];
  return `${sign && '\u2212'}${before.replace(/\B(?=(\d{3})+$)/g, ',')}${after}`;
}

export const nothing = (amount: string): boolean => /^-?0*\.?0*$/.test(amount);

export const plural = (n: number, one: string, many = `${one}s`): string => `${integer(n)} ${n === 1 ? one : many}`;
