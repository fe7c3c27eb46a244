package kerberos

// Context is our side of one SASL GSSAPI bind, with the methods that go-ldap asks for. It is used once.
type Context interface {
	InitSecContext(target string, answer []byte) (token []byte, more bool, err error)
	InitSecContextWithOptions(target string, answer []byte, options []int) (token []byte, more bool, err error)
	NegotiateSaslAuth(offer []byte, name string) (choice []byte, err error)
	DeleteSecContext() error
}

// chooseLayer reads a controller's offer of security layers and returns the choice of none, with the name to act as, which is empty:
// one's own (RFC 4752 3.1).
func chooseLayer(offer []byte, name string) ([]byte, error) {
	const none = 1
	if len(offer) != 4 {
		return nil, errOffer
	}
	if offer[0]&none == 0 {
		return nil, ErrSecurityLayer
	}
	return append([]byte{none, 0, 0, 0}, name...), nil
}
