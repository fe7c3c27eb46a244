package ldapwriter

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"github.com/password-writeback/writeback/internal/writeback"
)

// startTLSOID names the operation (RFC 4511 section 4.14).
const startTLSOID = "1.3.6.1.4.1.1466.20037"

// maxPlainAnswer bounds what is read before TLS, when anybody on the way may have written it. A real answer takes 40 bytes.
const maxPlainAnswer = 4096

// startTLS asks the controller to begin TLS. go-ldap's own function hides why a handshake failed, which hints and pins need to know; and
// its parser would allocate whatever length stands in the answer.
func startTLS(ctx context.Context, socket net.Conn) error {
	stop := context.AfterFunc(ctx, func() { _ = socket.Close() })
	defer stop()
	const messageID = 1
	if _, err := socket.Write(startTLSRequest(messageID)); err != nil {
		return errors.Join(context.Cause(ctx), err)
	}
	answer, err := readPlain(socket)
	if err != nil {
		return errors.Join(context.Cause(ctx), err)
	}
	return startTLSAnswer(answer, messageID)
}

func startTLSRequest(id int64) []byte {
	request := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationExtendedRequest, nil, "")
	request.AppendChild(ber.NewString(ber.ClassContext, ber.TypePrimitive, 0, startTLSOID, ""))
	message := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
	message.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, ""))
	message.AppendChild(request)
	return message.Bytes()
}

// readPlain reads exactly one LDAP message, and no byte of what comes after it: that would be taken for a part of TLS.
func readPlain(r io.Reader) ([]byte, error) {
	message := make([]byte, 2, 64)
	if _, err := io.ReadFull(r, message); err != nil {
		return nil, err
	}
	length := int(message[1])
	if length >= 0x80 { // the long form: the number of bytes that hold the length (X.690 8.1.3.5)
		size := make([]byte, length&0x7f)
		if len(size) == 0 || len(size) > 4 {
			return nil, errors.New("the answer to StartTLS is not LDAP")
		}
		if _, err := io.ReadFull(r, size); err != nil {
			return nil, err
		}
		message, length = append(message, size...), 0
		for _, b := range size {
			length = min(length<<8|int(b), maxPlainAnswer+1)
		}
	}
	if message[0] != 0x30 || length > maxPlainAnswer {
		return nil, errors.New("the answer to StartTLS is not LDAP")
	}
	body := make([]byte, length)
	_, err := io.ReadFull(r, body)
	return append(message, body...), err
}

// startTLSAnswer judges the answer; anything but success of this very operation is a refusal.
func startTLSAnswer(message []byte, id int64) error {
	packet, err := ber.DecodePacketErr(message)
	if err != nil {
		return fmt.Errorf("the answer to StartTLS: %w", err)
	}
	if len(packet.Children) < 2 || packet.Children[0].Value != id || packet.Children[1].Tag != ldap.ApplicationExtendedResponse ||
		packet.Children[1].ClassType != ber.ClassApplication || len(packet.Children[1].Children) < 3 {
		return errors.New("the answer to StartTLS is not one")
	}
	if err := ldap.GetLDAPError(packet); err != nil {
		return &writeback.Error{
			Reason: writeback.DirectoryUnavailable, Cause: cleaned(err),
			Hint: "The controller refuses StartTLS: give it a certificate, or use transport ldaps.",
		}
	}
	return nil
}

// secure begins TLS on the socket and has Go verify the controller.
func secure(ctx context.Context, socket net.Conn, config *tls.Config) (*tls.Conn, error) {
	secured := tls.Client(socket, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(context.Cause(ctx), err)
	}
	return secured, nil
}
