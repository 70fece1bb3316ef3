package gateway

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/labstack/echo/v4"
)

// headerForwardedProto says how the client reached the proxy that forwards its request.
const headerForwardedProto = echo.HeaderXForwardedProto

// clientAddress tells requests' clients: the peer, or whom proxies that are trusted name in X-Forwarded-For.
// The last address there that is no trusted proxy's is the client's: what stands before it is anybody's to
// write.
func clientAddress(trusted []netip.Prefix) echo.IPExtractor {
	if len(trusted) == 0 {
		return echo.ExtractIPDirect()
	}
	options := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, p := range trusted {
		options = append(options, echo.TrustIPRange(&net.IPNet{
			IP: p.Masked().Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen()),
		}))
	}
	return echo.ExtractIPFromXFFHeader(options...)
}

// overTLS reports whether a request is known to have come to this host over TLS: to the gateway itself, or to
// a proxy that is trusted and says so. Where it is not known, it may have all the same.
func (g *Gateway) overTLS(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	protocols := r.Header.Values(headerForwardedProto)
	if len(protocols) == 0 || !g.fromProxy(r) {
		return false
	}
	for protocol := range strings.SplitSeq(strings.Join(protocols, ","), ",") {
		if !strings.EqualFold(strings.TrimSpace(protocol), "https") {
			return false // a part of the way was plain, or somebody before the proxy wrote it
		}
	}
	return true
}

// fromProxy reports whether a request comes from an address whose forwarded headers are believed.
func (g *Gateway) fromProxy(r *http.Request) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	address := peer.Addr().Unmap().WithZone("")
	for _, p := range g.options.TrustedProxies {
		if p.Contains(address) {
			return true
		}
	}
	return false
}
