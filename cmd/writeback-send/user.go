package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/requester"
)

// person are the flags that say whom a request is about and who asks.
type person struct {
	sid, guid, upn, sam, immutableID, mail string

	operator string
	methods  []string
	verified string
}

func (p *person) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&p.sid, "sid", "", "the user's security id, `S-1-5-21-...` (recommended)")
	flags.StringVar(&p.guid, "guid", "", "the user's objectGUID, `xxxxxxxx-xxxx-...`")
	flags.StringVar(&p.upn, "upn", "", "the user's `name@domain`")
	flags.StringVar(&p.sam, "sam", "", "the user's `DOMAIN\\name`")
	flags.StringVar(&p.mail, "mail", "", "the user's mail `address`, where the agent's administrator allows it")
	flags.StringVar(&p.immutableID, "immutable-id", "", "the user's `base64` source anchor; beside another id: must match as well")
	flags.StringVar(&p.operator, "operator", "", "opaque `id` of the operator who asks; without it the user asks for the own account")
	flags.StringSliceVar(&p.methods, "method", nil, "how the person was verified, for instance `otp`; may be repeated")
	flags.StringVar(&p.verified, "verified-at", "", "when the person was verified, as `RFC 3339 time`; default: now, if --method is given")
}

// subject makes a subject of exactly one id, beside which --immutable-id may stand.
func (p *person) subject() (requester.Subject, error) {
	var given []requester.Subject
	for _, id := range []requester.Subject{
		{Kind: requester.BySID, Value: p.sid}, {Kind: requester.ByGUID, Value: p.guid}, {Kind: requester.ByUPN, Value: p.upn},
		{Kind: requester.BySAM, Value: p.sam}, {Kind: requester.ByMail, Value: p.mail},
	} {
		if id.Value != "" {
			given = append(given, id)
		}
	}
	switch {
	case len(given) == 1:
		given[0].AssertedImmutableID = p.immutableID
		return given[0], checkForm(given[0])
	case len(given) == 0 && p.immutableID != "":
		return requester.Subject{Kind: requester.ByImmutableID, Value: p.immutableID}, nil
	}
	return requester.Subject{}, usageError{
		fmt.Sprintf("%d user ids are given, not one", len(given)),
		"name the user by exactly one of --sid, --guid, --upn, --sam, --mail; --immutable-id may stand alone or beside it",
	}
}

// checkForm finds slips before anything is sent.
func checkForm(id requester.Subject) error {
	var fault string
	switch id.Kind {
	case requester.ByGUID:
		if _, err := writeback.ParseGUID(id.Value); err != nil {
			fault = "--guid is not of the form 8-4-4-4-12"
		}
	case requester.BySID:
		if !strings.HasPrefix(id.Value, "S-1-") {
			fault = "--sid does not begin with S-1-"
		}
	case requester.BySAM:
		if domain, name, ok := strings.Cut(id.Value, `\`); !ok || domain == "" || name == "" {
			fault = `--sam is not of the form DOMAIN\name`
		}
	case requester.ByUPN, requester.ByMail:
		if name, domain, ok := strings.Cut(id.Value, "@"); !ok || name == "" || domain == "" {
			fault = fmt.Sprintf("--%s is not of the form name@domain", id.Kind)
		}
	}
	if fault == "" {
		return nil
	}
	return usageError{fault, "correct the id; quote it if it holds characters the shell knows"}
}

// verification says who asks.
func (p *person) verification(now time.Time) (requester.Verification, error) {
	by := requester.Verification{Actor: requester.Actor{Kind: requester.ActorSelf}, Methods: p.methods}
	if p.operator != "" {
		by.Actor = requester.Actor{Kind: requester.ActorAdmin, ID: p.operator}
	}
	if p.verified == "" {
		if len(p.methods) > 0 {
			by.AuthTime = now
		}
		return by, nil
	}
	verified, err := time.Parse(time.RFC3339, p.verified)
	if err != nil {
		return by, usageError{"--verified-at is not an RFC 3339 time", "give it as 2026-01-31T12:00:00Z"}
	}
	by.AuthTime = verified
	return by, nil
}
