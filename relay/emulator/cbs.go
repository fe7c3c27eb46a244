package emulator

import (
	"time"

	"github.com/password-writeback/writeback/relay/emulator/internal/access"
	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
)

// Types of tokens: signed with a shared access key, or by an issuer outside (a bearer token, as from Entra).
const (
	tokenTypeSAS = "servicebus.windows.net:sastoken"
	tokenTypeJWT = "jwt"
)

// putToken is the one operation of $cbs: it verifies a token and remembers what it proves. A valid token for an entity
// that does not exist is answered with 404, the only way by which clients learn of that.
func (r *request) putToken() response {
	kind, _ := amqp.Lookup[string](r.props, "type")
	audience, _ := amqp.Lookup[string](r.props, "name")
	token, isText := r.body.(string)
	if r.op != "put-token" {
		return response{status: statusNotImplemented, description: "unknown operation " + r.op}
	}
	if audience == "" || !isText {
		return response{status: statusBadRequest, description: "put-token needs a name and a token"}
	}
	claim, err := r.conn.srv.verify(kind, token, audience)
	if err != nil {
		return failed(err)
	}
	if path := claim.Resource.Path; path != "" {
		if _, known := r.conn.srv.resolve(path); !known {
			return response{status: statusNotFound, description: "The messaging entity '" + path + "' could not be found."}
		}
	}
	if !r.conn.claims.Put(claim) {
		return response{status: statusBadRequest, description: "too many tokens on one connection"}
	}
	r.conn.watchClaims()
	return response{status: statusAccepted, description: "Accepted"}
}

// verify says what a token of some kind allows for an audience.
func (s *Server) verify(kind, token, audience string) (access.Claim, error) {
	switch {
	case kind == tokenTypeSAS:
		return access.VerifySAS(token, audience, s.key, s.cfg.Now())
	case kind == tokenTypeJWT && len(s.cfg.Issuers) > 0:
		return s.verifyBearer(token, audience)
	}
	return access.Claim{}, access.Unauthorized("Tokens of type '" + kind + "' are not accepted here.")
}

// watchClaims sets the timer for the next claim that expires.
func (c *conn) watchClaims() {
	now := c.now()
	if next, ok := c.claims.NextExpiry(now); ok {
		c.expiry.Reset(next.Sub(now))
	}
}

// claimsExpired detaches the links that no claim covers any more.
func (c *conn) claimsExpired() {
	for _, s := range c.sessions {
		for _, l := range s.links {
			if b := l.base(); !b.detached && !b.allowed() {
				s.detachWith(l, amqp.Errorf("amqp:unauthorized-access",
					"ExpiredToken: The token is expired. Expiration time: %s", c.now().UTC().Format(time.RFC1123)))
			}
		}
	}
	c.watchClaims()
}
