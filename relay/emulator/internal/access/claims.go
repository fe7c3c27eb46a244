package access

import (
	"strings"
	"time"
)

// Resource is an entity, or with an empty Path a namespace: both in lower case, the host without its port.
type Resource struct{ Host, Path string }

// ParseResource reads an audience or a scope: scheme://host[:port]/path. The scheme does not matter; clients write
// amqp, amqps, sb and http for the same thing. Nor does a query: clients of the management interface sign theirs too.
func ParseResource(uri string) Resource {
	uri, _, _ = strings.Cut(strings.ToLower(uri), "?")
	if _, rest, ok := strings.Cut(uri, "://"); ok {
		uri = rest
	}
	host, path, _ := strings.Cut(uri, "/")
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:i]
	}
	return Resource{Host: host, Path: strings.Trim(path, "/")}
}

// Covers says whether a token for r may be used for other: the same resource or one below it.
func (r Resource) Covers(other Resource) bool {
	return r.Host == other.Host && covers(r.Path, other.Path)
}

func covers(scope, path string) bool {
	return scope == "" || scope == path || strings.HasPrefix(path, scope+"/")
}

// Claim is what one token has proved.
type Claim struct {
	Resource Resource
	Rights   Rights
	Expires  time.Time
}

// maxClaims bounds what one connection can make the server remember.
const maxClaims = 1024

// Claims are the claims of one connection. The zero value is empty and ready; it is not safe for concurrent use.
type Claims struct{ byPath map[string]Claim }

// Put adds a claim or replaces the one for the same path. It refuses when there are too many.
func (c *Claims) Put(claim Claim) bool {
	if c.byPath == nil {
		c.byPath = map[string]Claim{}
	}
	if _, known := c.byPath[claim.Resource.Path]; !known && len(c.byPath) >= maxClaims {
		return false
	}
	c.byPath[claim.Resource.Path] = claim
	return true
}

// Allow says whether some claim that has not expired covers path with all the rights wanted.
func (c *Claims) Allow(path string, want Rights, now time.Time) bool {
	for _, claim := range c.byPath {
		if covers(claim.Resource.Path, path) && claim.Rights.Include(want) && claim.Expires.After(now) {
			return true
		}
	}
	return false
}

// NextExpiry is the moment the next claim expires after now; false when there is none.
func (c *Claims) NextExpiry(now time.Time) (next time.Time, ok bool) {
	for _, claim := range c.byPath {
		if claim.Expires.After(now) && (!ok || claim.Expires.Before(next)) {
			next, ok = claim.Expires, true
		}
	}
	return next, ok
}
