import { useClient } from '@tallywire/client/react';
import { useState, type ReactNode } from 'react';
import { enterToken, forgetToken } from './identity';

/** Shown where the gateway wants a token. */
export function SignIn({ reason }: { reason: string }): ReactNode {
  const client = useClient();
  const [token, setToken] = useState('');
  return (
    <main className="notice-page" id="main">
      <form
        className="card sign-in"
        onSubmit={(e) => {
          e.preventDefault();
          if (token.trim() === '') forgetToken();
          else enterToken(token);
          client.reconnect();
        }}
      >
        <h2>This gateway wants a token</h2>
        <p>
          It said: <q>{reason}</q>. Make a token with its secret:
        </p>
        <pre>{`tallywire token --auth-secret … --user you \\
  --subscribe '*' --publish '*' --presence '*'`}</pre>
        <label htmlFor="token">Token</label>
        <textarea id="token" rows={4} value={token} spellCheck={false} autoComplete="off" onChange={(e) => setToken(e.target.value)} />
        <button className="button primary" type="submit">
          Sign in
        </button>
      </form>
    </main>
  );
}
