package emulator

import (
	"crypto"
	"errors"
	"fmt"
	"strings"

	"github.com/password-writeback/writeback/relay/emulator/internal/access"
)

// BearerAudience is the audience ("aud") that bearer tokens must have; a slash may follow. It is what clients get who
// ask Entra for the scope "https://servicebus.azure.net/.default".
const BearerAudience = access.BearerAudience

// TokenIssuer is who signs the bearer tokens (JSON Web Tokens) that the namespace accepts, in the place of an Entra
// tenant.
//
// A token must be signed with one of the keys, named by its header "kid", by the one algorithm that fits the key: RS256
// for RSA, ES256 for ECDSA. It must have the claims "iss" (Name), "aud" (BearerAudience), "oid" (who its holder is) and
// "nbf" and "exp" in whole seconds, between which the service's clock must be; no leeway is given. Claims that would
// give rights, such as "roles" and "scp", are not looked at: as in Azure, rights come from role assignments.
type TokenIssuer struct {
	// Name is compared with "iss" exactly; Entra's are of the form "https://sts.windows.net/<tenant>/".
	Name string
	// Keys by "kid": *rsa.PublicKey of at least 2048 bits, or *ecdsa.PublicKey on P-256.
	Keys map[string]crypto.PublicKey
}

// RoleAssignment gives the holder of a bearer token rights: those of Azure's roles Service Bus Data Sender (Send), Data
// Receiver (Listen) and Data Owner (Manage). Somebody without any is let in, but every link is refused.
type RoleAssignment struct {
	// Principal is the object id in the token's claim "oid".
	Principal string
	// Rights given. Those of several assignments add up.
	Rights Rights
	// Queue they are given for, with all that belongs to it; empty: the namespace with all its queues.
	Queue string
}

func (i TokenIssuer) validate() error {
	if i.Name == "" || len(i.Keys) == 0 {
		return errors.New("a token issuer needs a name and keys")
	}
	var faults []error
	for id, key := range i.Keys {
		if id == "" {
			faults = append(faults, errors.New("a key needs an id"))
		}
		if err := access.CheckSigningKey(key); err != nil {
			faults = append(faults, fmt.Errorf("key %q: %w", id, err))
		}
	}
	return errors.Join(faults...)
}

// validateBearers checks what c says about bearer tokens.
func (c Config) validateBearers() error {
	var faults []error
	seen := map[string]bool{}
	for i, issuer := range c.Issuers {
		if err := issuer.validate(); err != nil {
			faults = append(faults, fmt.Errorf("token issuer %d: %w", i, err))
		}
		if seen[issuer.Name] {
			faults = append(faults, fmt.Errorf("token issuer %d: %q exists already", i, issuer.Name))
		}
		seen[issuer.Name] = true
	}
	for i, a := range c.Roles {
		if a.Principal == "" || a.Rights == 0 {
			faults = append(faults, fmt.Errorf("role assignment %d needs a principal and rights", i))
		}
	}
	return errors.Join(faults...)
}

func tokenIssuers(issuers []TokenIssuer) []access.Issuer {
	out := make([]access.Issuer, 0, len(issuers))
	for _, i := range issuers {
		out = append(out, access.Issuer{Name: i.Name, Keys: i.Keys})
	}
	return out
}

func grants(roles []RoleAssignment) []access.Grant {
	out := make([]access.Grant, 0, len(roles))
	for _, r := range roles {
		out = append(out, access.Grant{Principal: r.Principal, Path: strings.ToLower(r.Queue), Rights: r.Rights})
	}
	return out
}

// verifyBearer says what a bearer token allows for an audience.
func (s *Server) verifyBearer(token, audience string) (access.Claim, error) {
	b, err := access.VerifyBearer(token, tokenIssuers(s.cfg.Issuers), s.cfg.Now())
	if err != nil {
		return access.Claim{}, err
	}
	return b.Claim(audience, grants(s.cfg.Roles)), nil
}
