package lab

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
	"github.com/password-writeback/writeback/relay/envelope/envelopetest"
	"github.com/password-writeback/writeback/relay/requester"
	"github.com/password-writeback/writeback/relay/servicebus"
)

// Portal is a portal's process: the client it asks with, and the means to make tokens by hand that no honest portal would send.
type Portal struct {
	*requester.Client
	forge   envelopetest.Portal
	session string
}

// OpenPortal connects the site's portal to the namespace. agents are the public keys that the agent exported.
func OpenPortal(ctx context.Context, namespace *Namespace, site *Site, agents []envelope.PublicKey, log logrus.FieldLogger) (*Portal, error) {
	session := requester.NewSession()
	transport, err := servicebus.DialPortal(ctx, servicebus.PortalConfig{
		ConnectionString: namespace.PortalConnection(), RequestsQueue: RequestsQueue, ResultsQueue: ResultsQueue, Session: session, Logger: log,
	})
	if err != nil {
		return nil, fmt.Errorf("connect the portal: %w", err)
	}
	client, err := requester.New(requester.Config{
		Issuer: Issuer, Group: Group, SigningKey: site.PortalKey, Agents: agents, Transport: transport, Session: session,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make the portal: %w", err), transport.Close(ctx))
	}
	portal := &Portal{Client: client, session: session}
	portal.forge = envelopetest.Portal{Issuer: Issuer, Group: Group, SigningKey: site.PortalKey, Recipients: sealing(agents)}
	return portal, nil
}

// sealing picks the keys that requests are sealed for.
func sealing(keys []envelope.PublicKey) []envelope.PublicKey {
	var picked []envelope.PublicKey
	for _, key := range keys {
		if key.Use() == envelope.UseSeal {
			picked = append(picked, key)
		}
	}
	return picked
}

// Verified says that the person asks for the own account and was verified a moment ago, by two methods.
func Verified() requester.Verification {
	return requester.Verification{AuthTime: time.Now(), Methods: []string{"otp", "face"}}
}

// Draft returns a good reset of the person's own password, made by hand. Spoil it as you like and pass it to Token.
func (p *Portal) Draft(user writeback.Subject, password secret.Value) *envelopetest.Draft {
	var draft *envelopetest.Draft
	password.Use(func(b []byte) {
		draft = p.forge.Draft().For(writeback.OpReset, map[string]any{string(user.Kind): user.Value}, string(b))
	})
	draft.Claims["act"] = map[string]any{"kind": string(writeback.ActorSelf)}
	draft.Claims["reply"] = p.session
	return draft
}

// Token seals and signs a draft; for recipient, where one is given, in place of the agents the portal knows.
func (p *Portal) Token(draft *envelopetest.Draft, recipient ...envelope.PublicKey) ([]byte, error) {
	forge := p.forge
	if len(recipient) > 0 {
		forge.Recipients = recipient
	}
	return forge.Token(draft)
}

// Exchange sends a token and waits for the next answer to it. The message has an id of its own each time: the queue drops
// repeated ones, and what is repeated here is meant to reach the agent.
func (p *Portal) Exchange(ctx context.Context, token []byte) (writeback.Result, error) {
	return p.ExchangeAs(ctx, envelope.NewID(), token)
}
