package lab

import (
	"context"
	"fmt"
	"strings"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
)

// Answers of AD to a simple bind, see adtest.Logon.
const (
	codeAccepted      = ""
	codeWrongPassword = "52e"
	codeMustChange    = "773"
	codeLocked        = "775"
)

// prove looks into the directory, past everything anybody said, and hands every finding to show.
func (s *stage) prove(ctx context.Context, show func(Proof)) {
	for _, reset := range s.resets {
		show(s.provePassword(ctx, reset))
	}
	show(s.proveUnlocked(ctx))
	show(s.proveWrites(ctx, kira+"'s token was sent twice and written once", 1, kira))
	show(s.proveWrites(ctx, "no refused request wrote anything", 0, append(s.spared(), gina, hugo, ida, jan, liam, mona, nils)...))
	show(s.proveSilence(ctx))
}

// provePassword binds with the new password and with the old one.
func (s *stage) provePassword(ctx context.Context, reset doneReset) Proof {
	wantNew, good := codeAccepted, "the new password logs on"
	if reset.mustChange {
		wantNew, good = codeMustChange, "the new password is right and must be changed (773)"
	}
	proof := Proof{Claim: reset.login, Seen: good + ", the old one is refused (52e)"}
	return proof.check(
		s.logon(ctx, "the new password", reset.login, reset.password, wantNew),
		s.logon(ctx, "the old password", reset.login, s.directory.First(reset.login), codeWrongPassword),
	)
}

func (s *stage) proveUnlocked(ctx context.Context) Proof {
	proof := Proof{Claim: finn, Seen: "was refused as locked before (775), logs on now"}
	return proof.check(s.logon(ctx, "the password", finn, s.directory.First(finn), codeAccepted))
}

// logon returns what is wrong with the directory's answer to a bind; empty: nothing.
func (s *stage) logon(ctx context.Context, what, login string, password secret.Value, want string) string {
	code, err := s.directory.Logon(ctx, login, password)
	switch {
	case err != nil:
		return fmt.Sprintf("%s: %v", what, err)
	case code != want:
		return fmt.Sprintf("a logon with %s was answered with %q, not %q", what, code, want)
	}
	return ""
}

// proveWrites compares how often the passwords of people were written, all together.
func (s *stage) proveWrites(ctx context.Context, claim string, want int, logins ...string) Proof {
	writes := 0
	for _, login := range logins {
		count, err := s.directory.CountWrites(ctx, login)
		if err != nil {
			return Proof{Claim: claim}.check(err.Error())
		}
		writes += count
	}
	proof := Proof{Claim: claim, Seen: fmt.Sprintf("the directory counts %d", writes)}
	if writes != want {
		return proof.check(fmt.Sprintf("%d writes were expected", want))
	}
	return proof
}

// spared are those whom only a real controller refuses.
func (s *stage) spared() []string {
	if s.real() {
		return []string{dana}
	}
	return nil
}

// proveSilence looks once more, at the end, for an answer to the forged request.
func (s *stage) proveSilence(ctx context.Context) Proof {
	proof := Proof{Claim: "the forged request was never answered, and the agent counted it"}
	status, err := s.agent.Status(ctx)
	if err != nil {
		return proof.check(err.Error())
	}
	counted := status.Count(writeback.EnvelopeBadSignature)
	stray := s.portal.Stats().Unmatched + s.portal.Stats().Unverifiable + s.portal.Stats().Repeated
	proof.Seen = fmt.Sprintf("%s: %d; answers that nobody waits for: %d", writeback.EnvelopeBadSignature, counted, stray)
	if stray != 0 || counted != 1 {
		return proof.check(proof.Seen)
	}
	return proof
}

// check adds what is wrong.
func (p Proof) check(faults ...string) Proof {
	var wrong []string
	for _, fault := range faults {
		if fault != "" {
			wrong = append(wrong, fault)
		}
	}
	p.Fault = strings.Join(wrong, "; ")
	if p.Fault != "" && p.Seen != "" {
		p.Seen = "not as it should be"
	}
	return p
}
