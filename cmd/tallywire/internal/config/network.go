package config

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
)

// Proxies returns the networks of trusted-proxies. It is called after Validate.
func (s *Serve) Proxies() []netip.Prefix {
	var out []netip.Prefix
	for _, text := range s.TrustedProxies {
		if p, err := network(text); err == nil {
			out = append(out, p)
		}
	}
	return out
}

// network reads a network, or an address as a network of one.
func network(text string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(text); err == nil {
		if p.Addr().Is4In6() {
			return netip.Prefix{}, fmt.Errorf("write a network of IPv4 as one, as 10.0.0.0/8, not %q", clip(text))
		}
		return p.Masked(), nil
	}
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	return netip.Prefix{}, fmt.Errorf("must be networks as 10.0.0.0/8 or addresses, has %q", clip(text))
}

// sameSites are the names of the modes of the cookie.
var sameSites = map[string]http.SameSite{
	"strict": http.SameSiteStrictMode, "lax": http.SameSiteLaxMode, "none": http.SameSiteNoneMode,
}

// SameSite returns the mode of the cookie.
func (s *Serve) SameSite() http.SameSite { return sameSites[s.CookieSameSite] }

// validateNetwork looks at how clients come in.
func (s *Serve) validateNetwork(check func(string, error)) {
	if s.TLSCert == "" && s.TLSKey != "" {
		check("tls-key", errors.New("needs its certificate: give tls-cert too"))
	}
	if s.TLSCert != "" && s.TLSKey == "" {
		check("tls-cert", errors.New("needs its key: give tls-key too"))
	}
	for _, text := range s.TrustedProxies {
		_, err := network(text)
		check("trusted-proxies", err)
	}
	if s.ProxyProtocol && len(s.TrustedProxies) == 0 {
		check("proxy-protocol", errors.New("needs trusted-proxies: whose word on the clients' addresses is taken"))
	}
	if s.SameSite() == 0 {
		check("cookie-samesite", fmt.Errorf("must be strict, lax or none, is %q", clip(s.CookieSameSite)))
	}
}
