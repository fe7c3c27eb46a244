package envelope

import (
	"errors"
	"fmt"

	"github.com/password-writeback/writeback/internal/writeback"
)

// The exact types of the tokens.
const (
	requestType = "writeback-request+jwt"
	resultType  = "writeback-result+jwt"
)

// Bounds on lists in the claims.
const (
	maxMethods = 16
	maxEntries = maxElements // sealed entries
)

// requestClaims are all claims a request may hold.
func requestClaims() []string {
	return []string{"iss", "aud", "jti", "iat", "exp", "nbf", "op", "act", "auth_time", "amr", "reply", "sealed"}
}

// readIdentity reads the claims that an answer needs: whose request it is, which, and where the answer goes. They are read before
// all others, so that a request which is refused for its content can still be answered.
func readIdentity(f *fields) writeback.Claims {
	return writeback.Claims{
		Issuer: f.text("iss", nameForm()), Audience: f.text("aud", nameForm()),
		ID: f.text("jti", idForm()), ReplySession: f.text("reply", idForm()),
	}
}

// readClaims reads the remaining claims into those of readIdentity. What only a newer protocol could mean is
// request.unsupported: a newer portal must not believe that an older agent obeyed. The rest is envelope.malformed.
func readClaims(f *fields, claims *writeback.Claims) (sealed object, err error) {
	claims.IssuedAt, claims.ExpiresAt = f.seconds("iat"), f.seconds("exp")
	claims.NotBefore, claims.AuthTime = f.optionalSeconds("nbf"), f.optionalSeconds("auth_time")
	claims.Methods = f.texts("amr", maxMethods, methodForm())
	operation := writeback.Operation(f.text("op", nameForm()))
	if operation.Known() { // also of a request that is refused: one that writes nothing is answered otherwise once it has expired
		claims.Operation = operation
	}
	actor, actorErr := readActor(f)
	sealed = readEntries(f)
	if f.fault == nil && !claims.ExpiresAt.After(claims.IssuedAt) {
		f.fail("exp", errors.New("is not after iat"))
	}
	if name, found := f.members.stranger(requestClaims()...); found {
		return nil, fault(writeback.RequestUnsupported, "unknown claim %.32q", name)
	}
	if f.fault != nil {
		return nil, fault(writeback.EnvelopeMalformed, "claims: %w", f.fault)
	}
	if !operation.Known() {
		return nil, fault(writeback.RequestUnsupported, "unknown operation %.32q", operation)
	}
	claims.Actor = actor
	return sealed, actorErr
}

// readActor reads {"kind":"self"} or {"kind":"admin","id":"..."}. A fault of form stays in f; the error is for a kind we do not know.
func readActor(f *fields) (writeback.Actor, error) {
	act := f.object("act")
	if f.fault != nil {
		return writeback.Actor{}, nil
	}
	actor := writeback.Actor{Kind: writeback.ActorKind(act.text("kind", nameForm()))}
	known := []string{"kind"}
	if actor.Kind == writeback.ActorAdmin {
		known = append(known, "id")
		actor.ID = act.text("id", operatorForm())
	}
	if act.fault != nil {
		f.fail("act", act.fault)
		return writeback.Actor{}, nil
	}
	if actor.Kind != writeback.ActorSelf && actor.Kind != writeback.ActorAdmin {
		return writeback.Actor{}, fault(writeback.RequestUnsupported, "unknown kind of actor %.32q", actor.Kind)
	}
	if name, found := act.members.stranger(known...); found {
		f.fail("act", fmt.Errorf("has the member %.32q, which its kind does not have", name))
	}
	return actor, nil
}

// readEntries reads the names of the sealed entries and checks the form of all of them; the entries stay as they are.
func readEntries(f *fields) object {
	sealed := f.object("sealed")
	if f.fault != nil {
		return nil
	}
	if len(sealed.members) == 0 || len(sealed.members) > maxEntries {
		f.fail("sealed", fmt.Errorf("does not hold 1 to %d entries", maxEntries))
	}
	for _, entry := range sealed.members {
		if err := thumbprintForm().check(entry.name); err != nil {
			f.fail("sealed", errors.New("the name of an entry is not a thumbprint"))
		}
		sealed.text(entry.name, tokenForm())
	}
	if sealed.fault != nil {
		f.fail("sealed", errors.New("an entry is not a compact JWE"))
	}
	return sealed.members
}
