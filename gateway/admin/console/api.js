// The API, with the token that the tab was given. The token is kept for this tab only.

const KEY = "tallywire.admin.token";

/** Problem is an answer that is no success, or none at all (code "unreachable"). */
export class Problem extends Error {
  constructor({ code, detail, status = 0, retry = false, path }) {
    super(detail);
    Object.assign(this, { code, status, retry, path });
  }
}

const SIGNED_OUT = new Set(["unauthorized", "token_expired", "token_revoked", "forbidden"]);

export const session = {
  get token() { return sessionStorage.getItem(KEY) ?? ""; },
  set token(value) { value ? sessionStorage.setItem(KEY, value) : sessionStorage.removeItem(KEY); },
  who: null,
  /** onRefused is called when the token is no longer accepted. */
  onRefused: () => {},
};

/** claims reads a token without believing it: to say what is wrong with it. */
export function claims(token) {
  try {
    const part = token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(part), (c) => c.charCodeAt(0))));
  } catch {
    return null;
  }
}

async function problemOf(response) {
  try {
    const p = await response.json();
    return new Problem({ ...p, status: response.status });
  } catch {
    return new Problem({ code: "unreadable", detail: `The gateway answered ${response.status} in a way that this page does not know.`, status: response.status });
  }
}

/** call sends a request and returns the answer. It throws a Problem. */
export async function call(method, path, { body, signal, token = session.token, quiet = false } = {}) {
  let response;
  try {
    response = await fetch(`/admin/v1/${path}`, {
      method, signal, cache: "no-store", credentials: "omit",
      headers: { Authorization: `Bearer ${token}`, ...(body ? { "Content-Type": "application/json" } : {}) },
      body: body ? JSON.stringify(body) : undefined,
    });
  } catch (e) {
    if (e.name === "AbortError") throw e;
    throw new Problem({ code: "unreachable", detail: "The gateway that serves this page does not answer.", retry: true });
  }
  if (!response.ok) {
    const p = await problemOf(response);
    if (!quiet && SIGNED_OUT.has(p.code) && (p.status === 401 || p.status === 403)) session.onRefused(p);
    throw p;
  }
  try {
    return await response.json();
  } catch (e) {
    if (e.name === "AbortError") throw e;
    throw new Problem({ code: "unreachable", detail: "The gateway's answer broke off.", retry: true });
  }
}

export const get = (path, options) => call("GET", path, options);
export const post = (path, body, options) => call("POST", path, { ...options, body });

/** query makes a query string of what is set. */
export function query(values) {
  const q = new URLSearchParams(Object.entries(values).filter(([, v]) => v !== "" && v !== undefined && v !== null));
  const text = q.toString();
  return text ? `?${text}` : "";
}

export const part = encodeURIComponent;
