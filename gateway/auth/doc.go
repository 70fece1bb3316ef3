// Package auth says who a client is, and what it may do.
//
// A token is a JWT. [New] builds an [Authenticator] from [Options]; [Authenticator.Authenticate] turns a
// token into a [Principal]; [Principal.May] answers for a channel. [Authenticator.Run] keeps public keys
// and revocations fresh, and [Mint] makes tokens for development. The path of a token is
//
//	size and shape → header → key by issuer, kid and algorithm → signature → claims → revocations
//
// What is refused, whoever signed it: an algorithm other than HS256, RS256, ES256 and EdDSA; a key used
// with an algorithm that is not its own (HS256 with a public key's bytes above all); headers that bring or
// name keys (jku, x5u, x5c, jwk); crit, b64, encryption, JSON serialisation and nested tokens; tokens above
// [MaxTokenBytes]. Claims that are not verified choose nothing but one of the configured key sets, so that
// no token causes a request to an address that is not configured.
//
// Required claims are iss, aud, exp and sub. exp is exact, so that a connection that closes at
// [Principal.Expires] never outlives its token; nbf and iat are given [Options.Skew]. The claim tw holds
// the [Permissions].
//
// The library behind it is jwx v3, and nothing outside this package depends on it.
package auth
