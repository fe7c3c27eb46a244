package kerberos

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/iana/nametype"
	"github.com/jcmturner/gokrb5/v8/iana/patype"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
)

// login is one account that asks one KDC.
type login struct {
	user, realm string
	keys        keys
	kdc         kdc
	sent        *bool // set as soon as a proof may have left; nil: nobody asks
}

// granted is a ticket and the key that goes with it.
type granted struct {
	ticket messages.Ticket
	key    types.EncryptionKey
	ends   time.Time
}

func (l login) client() types.PrincipalName {
	return types.PrincipalName{NameType: nametype.KRB_NT_PRINCIPAL, NameString: []string{l.user}}
}

// settings are what the library takes from a krb5.conf: nothing but the life of a ticket and the encryption types.
func settings(life time.Duration, offers []int32) *config.Config {
	made := &config.Config{}
	made.LibDefaults.KDCDefaultOptions = types.NewKrbFlags()
	made.LibDefaults.NoAddresses = true
	made.LibDefaults.TicketLifetime = life
	made.LibDefaults.DefaultTktEnctypeIDs = offers
	made.LibDefaults.DefaultTGSEnctypeIDs = offers
	return made
}

// initial asks for a ticket-granting ticket: once without proof, to learn how the key is derived, and then once with proof (RFC 4120
// 3.1 and 5.2.7.2). The proof is never sent twice.
func (l login) initial(ctx context.Context, life time.Duration) (g granted, err error) {
	defer tamed(&err)
	request, err := messages.NewASReqForTGT(l.realm, settings(life, l.keys.offers()), l.client())
	if err != nil {
		return granted{}, err
	}
	reply, refusal, err := l.askInitial(ctx, request)
	if err != nil {
		return granted{}, err
	}
	hints := types.ETypeInfo2{}
	if refusal != nil {
		if refusal.Code != NeedsProof {
			return granted{}, refusal
		}
		if hints = hintsIn(refusal.data); len(hints) == 0 {
			return granted{}, errors.New("the KDC asks for a proof, and does not say how")
		}
		if err := l.prove(&request, hints); err != nil {
			return granted{}, err
		}
		l.proofLeaves()
		if reply, refusal, err = l.askInitial(ctx, request); err != nil {
			return granted{}, err
		}
		if refusal != nil {
			refusal.Proven = true
			return granted{}, refusal
		}
	}
	return l.open(request, reply, hints)
}

func (l login) proofLeaves() {
	if l.sent != nil {
		*l.sent = true
	}
}

// askInitial returns the KDC's reply or its refusal.
func (l login) askInitial(ctx context.Context, request messages.ASReq) ([]byte, *Refusal, error) {
	encoded, err := request.Marshal()
	if err != nil {
		return nil, nil, err
	}
	reply, err := l.kdc.ask(ctx, encoded)
	if err != nil {
		return nil, nil, err
	}
	refusal, _ := asRefusal(reply)
	return reply, refusal, nil
}

// hintsIn returns how keys are derived, as a KDC says it along with its demand for a proof (METHOD-DATA, RFC 4120 5.9.1).
func hintsIn(data []byte) types.ETypeInfo2 {
	var methods types.PADataSequence
	if methods.Unmarshal(data) != nil {
		return nil
	}
	return hintsAmong(methods)
}

func hintsAmong(methods types.PADataSequence) types.ETypeInfo2 {
	for _, method := range methods {
		if method.PADataType == patype.PA_ETYPE_INFO2 {
			found, err := method.GetETypeInfo2()
			if err == nil {
				return found
			}
		}
	}
	return nil
}

// prove adds the encrypted time to the request, under the key of the first type that both sides know.
func (l login) prove(request *messages.ASReq, hints types.ETypeInfo2) error {
	offers := l.keys.offers()
	at := slices.IndexFunc(hints, func(h types.ETypeInfo2Entry) bool { return slices.Contains(offers, h.EType) })
	if at < 0 {
		return ErrNoKey
	}
	key, version, err := l.keys.key(hints[at])
	if err != nil {
		return err
	}
	now, err := types.GetPAEncTSEncAsnMarshalled()
	if err != nil {
		return err
	}
	proof, err := crypto.GetEncryptedData(now, key, keyusage.AS_REQ_PA_ENC_TIMESTAMP, version)
	if err != nil {
		return err
	}
	encoded, err := proof.Marshal()
	request.PAData = types.PADataSequence{{PADataType: patype.PA_ENC_TIMESTAMP, PADataValue: encoded}}
	return err
}

// open decrypts the reply with the account's key, which proves key and reply, and checks that it answers the request.
func (l login) open(request messages.ASReq, encoded []byte, hints types.ETypeInfo2) (granted, error) {
	var reply messages.ASRep
	if err := reply.Unmarshal(encoded); err != nil {
		return granted{}, errors.New("the KDC's answer is not an AS-REP")
	}
	key, err := l.replyKey(reply, hints)
	if err != nil {
		return granted{}, err
	}
	part, err := opened(reply.EncPart, key, keyusage.AS_REP_ENCPART)
	if err != nil {
		return granted{}, ErrNotProven
	}
	if part.Nonce != request.ReqBody.Nonce || !part.SName.Equal(request.ReqBody.SName) || part.SRealm != request.ReqBody.Realm {
		return granted{}, errors.New("the KDC's answer belongs to another request")
	}
	return granted{ticket: reply.Ticket, key: part.Key, ends: part.EndTime}, nil
}

func (l login) replyKey(reply messages.ASRep, hints types.ETypeInfo2) (types.EncryptionKey, error) {
	if own := hintsAmong(reply.PAData); len(own) > 0 {
		hints = own
	}
	hint := types.ETypeInfo2Entry{EType: reply.EncPart.EType, Salt: l.client().GetSalt(l.realm)}
	for _, each := range hints {
		if each.EType == hint.EType {
			hint = each
		}
	}
	if !slices.Contains(l.keys.offers(), hint.EType) {
		return types.EncryptionKey{}, ErrNoKey
	}
	key, _, err := l.keys.key(hint)
	return key, err
}

func opened(sealed types.EncryptedData, key types.EncryptionKey, usage uint32) (messages.EncKDCRepPart, error) {
	var part messages.EncKDCRepPart
	plain, err := crypto.DecryptEncPart(sealed, key, usage)
	if err == nil {
		err = part.Unmarshal(plain)
	}
	return part, err
}

// service asks for a ticket to a service (RFC 4120 3.3). Referrals to other realms are not followed.
func (l login) service(ctx context.Context, initial granted, spn string, life time.Duration) (g granted, err error) {
	defer tamed(&err)
	name := types.NewPrincipalName(nametype.KRB_NT_SRV_INST, spn)
	request, err := messages.NewTGSReq(l.client(), l.realm, settings(life, accepted()), initial.ticket, initial.key, name, false)
	if err != nil {
		return granted{}, err
	}
	encoded, err := request.Marshal()
	if err != nil {
		return granted{}, err
	}
	answer, err := l.kdc.ask(ctx, encoded)
	if err != nil {
		return granted{}, err
	}
	if refusal, refused := asRefusal(answer); refused {
		return granted{}, refusal
	}
	var reply messages.TGSRep
	if err := reply.Unmarshal(answer); err != nil {
		return granted{}, errors.New("the KDC's answer is not a TGS-REP")
	}
	part, err := opened(reply.EncPart, initial.key, keyusage.TGS_REP_ENCPART_SESSION_KEY)
	if err != nil {
		return granted{}, ErrNotProven
	}
	if part.Nonce != request.ReqBody.Nonce {
		return granted{}, errors.New("the KDC's answer belongs to another request")
	}
	if !part.SName.Equal(name) || part.SRealm != l.realm {
		return granted{}, &Refusal{Code: UnknownService} // a referral: the service is not of this realm
	}
	return granted{ticket: reply.Ticket, key: part.Key, ends: part.EndTime}, nil
}
