package kerberos

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/alexbrainman/sspi"
)

// ServiceIdentity reports whether this system can log on as the account the process runs as.
const ServiceIdentity = true

// Flags of a context. Integrity protects the choice of the security layer.
const serviceFlags = sspi.ISC_REQ_MUTUAL_AUTH | sspi.ISC_REQ_INTEGRITY

// noEncryption is SECQOP_WRAP_NO_ENCRYPT: sign only.
const noEncryption = 0x80000001

// InitiateAsService begins a bind as the account the process runs as, a group-managed service account among them, on the connection
// that binding identifies. Windows gets and renews the tickets. The package is Kerberos and never NTLM. This has not been run on Windows
// against a domain yet.
func InitiateAsService(spn string, binding Binding) (Context, error) {
	target, err := syscall.UTF16PtrFromString(spn)
	if err != nil {
		return nil, err
	}
	kerberos, err := sspi.QueryPackageInfo(sspi.MICROSOFT_KERBEROS_NAME)
	if err != nil {
		return nil, fmt.Errorf("the Kerberos package of Windows: %w", err)
	}
	account, err := sspi.AcquireCredentials("", sspi.MICROSOFT_KERBEROS_NAME, sspi.SECPKG_CRED_OUTBOUND, nil)
	if err != nil {
		return nil, fmt.Errorf("the credentials of the service's account: %w", err)
	}
	return &serviceContext{
		account: account, context: sspi.NewClientContext(account, serviceFlags),
		target: target, binding: binding.Windows(), room: int(kerberos.MaxToken),
	}, nil
}

type serviceContext struct {
	account *sspi.Credentials
	context *sspi.Context
	target  *uint16
	binding []byte
	room    int // the longest token
	done    bool
}

// InitSecContext implements Context.
func (s *serviceContext) InitSecContext(target string, answer []byte) (token []byte, more bool, err error) {
	return s.InitSecContextWithOptions(target, answer, nil)
}

// InitSecContextWithOptions implements Context.
func (s *serviceContext) InitSecContextWithOptions(_ string, answer []byte, _ []int) (token []byte, more bool, err error) {
	in := []sspi.SecBuffer{{}, {}}
	in[0].Set(sspi.SECBUFFER_TOKEN, answer)
	in[1].Set(sspi.SECBUFFER_CHANNEL_BINDINGS, s.binding)
	out := []sspi.SecBuffer{{}}
	out[0].Set(sspi.SECBUFFER_TOKEN, make([]byte, s.room))
	switch status := s.context.Update(s.target, sspi.NewSecBufferDesc(out), sspi.NewSecBufferDesc(in)); status {
	case sspi.SEC_E_OK:
		s.done = true
		if err := s.context.VerifyFlags(); err != nil {
			return nil, false, errors.Join(ErrNotMutual, err)
		}
		return out[0].Bytes(), false, nil
	case sspi.SEC_I_CONTINUE_NEEDED:
		return out[0].Bytes(), true, nil
	default:
		return nil, false, fmt.Errorf("the Kerberos package of Windows: %w (0x%08x)", status, uint32(status))
	}
}

// NegotiateSaslAuth implements Context.
func (s *serviceContext) NegotiateSaslAuth(offer []byte, name string) ([]byte, error) {
	if !s.done {
		return nil, ErrNotMutual
	}
	layers, err := s.unwrap(offer)
	if err != nil {
		return nil, err
	}
	choice, err := chooseLayer(layers, name)
	if err != nil {
		return nil, err
	}
	return s.wrap(choice)
}

func (s *serviceContext) unwrap(token []byte) ([]byte, error) {
	buffers := []sspi.SecBuffer{{}, {}}
	buffers[0].Set(sspi.SECBUFFER_STREAM, token)
	buffers[1].Set(sspi.SECBUFFER_DATA, nil)
	var quality uint32
	if status := sspi.DecryptMessage(s.context.Handle, sspi.NewSecBufferDesc(buffers), 0, &quality); status != sspi.SEC_E_OK {
		return nil, errors.Join(errWrap, status)
	}
	if quality != noEncryption {
		return nil, errWrap
	}
	return buffers[1].Bytes(), nil
}

func (s *serviceContext) wrap(content []byte) ([]byte, error) {
	_, _, block, trailer, err := s.context.Sizes()
	if err != nil {
		return nil, err
	}
	buffers := []sspi.SecBuffer{{}, {}, {}}
	buffers[0].Set(sspi.SECBUFFER_TOKEN, make([]byte, trailer))
	buffers[1].Set(sspi.SECBUFFER_DATA, content)
	buffers[2].Set(sspi.SECBUFFER_PADDING, make([]byte, block))
	if status := sspi.EncryptMessage(s.context.Handle, noEncryption, sspi.NewSecBufferDesc(buffers), 0); status != sspi.SEC_E_OK {
		return nil, fmt.Errorf("signing: %w", status)
	}
	var token []byte
	for i := range buffers {
		token = append(token, buffers[i].Bytes()...)
	}
	return token, nil
}

// DeleteSecContext implements Context.
func (s *serviceContext) DeleteSecContext() error {
	var context error
	if s.context.Handle != nil {
		context = s.context.Release()
	}
	return errors.Join(context, s.account.Release())
}
