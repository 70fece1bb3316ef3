const NAMES = ['Robin', 'Noor', 'Elif', 'Kim', 'Devi', 'Sascha', 'Ines', 'Mika', 'Luca', 'Yuna', 'Amara', 'Theo'];

const NAME = 'tallywire.name';
const TOKEN = 'tallywire.token';

function stored(key: string): string | null {
  try {
    return sessionStorage.getItem(key);
  } catch {
    return null; // a browser that keeps nothing
  }
}

function store(key: string, value: string | null): void {
  try {
    if (value === null) sessionStorage.removeItem(key);
    else sessionStorage.setItem(key, value);
  } catch {
    // Then it lasts as long as the page.
  }
}

let name = stored(NAME);
let token = stored(TOKEN);

/** Who this tab is in a demonstration, where a name is all that a gateway asks for. */
export function ownName(): string {
  if (name === null) {
    const [pick = 0, tag = 0] = crypto.getRandomValues(new Uint16Array(2));
    name = `${NAMES[pick % NAMES.length] ?? 'Guest'}-${(tag % 900) + 100}`;
    store(NAME, name);
  }
  return name;
}

/** What the gateway is shown: the token that was entered, or the name. */
export const credential = (): string => token ?? ownName();

/** Keeps a token for this tab. */
export function enterToken(value: string): void {
  token = value.trim().replace(/^Bearer\s+/i, '');
  store(TOKEN, token);
}

export function forgetToken(): void {
  token = null;
  store(TOKEN, null);
}
