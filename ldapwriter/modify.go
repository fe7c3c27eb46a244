package ldapwriter

import (
	"encoding/binary"
	"errors"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
)

// maxPasswordUnits is Windows' limit, in UTF-16 units.
const maxPasswordUnits = 256

// modification is one Modify and the buffers with passwords in it.
type modification struct {
	request *ldap.ModifyRequest
	secrets [][]byte
}

// newModification makes the one Modify of a change. Its target is the objectGUID: names may move and need escaping.
func newModification(account writeback.Account, change writeback.Change) (*modification, error) {
	m := &modification{request: ldap.NewModifyRequest(guidDN(account.GUID), nil)}
	var err error
	switch change.Operation {
	case writeback.OpReset:
		err = m.reset(change)
	case writeback.OpChange:
		err = m.change(change)
	case writeback.OpUnlock:
		m.request.Replace("lockoutTime", []string{"0"})
	default:
		err = writeback.NewError(writeback.RequestUnsupported, errors.New("the operation writes nothing"))
	}
	if err != nil {
		m.clear()
		return nil, err
	}
	return m, nil
}

// reset replaces unicodePwd, which needs the right Reset Password, and sets what else was asked for in the same, atomic Modify.
func (m *modification) reset(change writeback.Change) error {
	value, err := m.encode(change.Password)
	if err != nil {
		return err
	}
	m.request.Replace("unicodePwd", []string{value})
	if change.MustChange {
		m.request.Replace("pwdLastSet", []string{"0"})
	}
	if change.Unlock {
		m.request.Replace("lockoutTime", []string{"0"})
	}
	return nil
}

// change deletes the old value and adds the new one, which is the user's own right (MS-ADTS 3.1.1.3.1.5.2).
func (m *modification) change(change writeback.Change) error {
	before, err := m.encode(change.OldPassword)
	if err != nil {
		// An old password that cannot be one is a wrong one: the person is to correct that, not the new one.
		return writeback.NewError(writeback.PasswordOldIncorrect, errors.New("the old password cannot be one"))
	}
	after, err := m.encode(change.Password)
	if err != nil {
		return err
	}
	m.request.Delete("unicodePwd", []string{before})
	m.request.Add("unicodePwd", []string{after})
	return nil
}

// encode remembers the encoded password's buffer for clear. go-ldap takes strings and copies them into its packet: those copies
// are out of reach.
func (m *modification) encode(password secret.Value) (string, error) {
	encoded, err := encodePassword(password)
	if err != nil {
		return "", err
	}
	m.secrets = append(m.secrets, encoded)
	return string(encoded), nil
}

// clear overwrites the buffers.
func (m *modification) clear() {
	for _, b := range m.secrets {
		clear(b)
	}
}

// encodePassword returns the value of unicodePwd: the password in double quotes, in UTF-16LE (MS-ADTS 3.1.1.3.1.5.1). It is
// neither trimmed nor normalised.
func encodePassword(password secret.Value) ([]byte, error) {
	var encoded []byte
	var fault error
	password.Use(func(utf8Bytes []byte) {
		if fault = checkPassword(utf8Bytes); fault != nil {
			return
		}
		units := make([]uint16, 0, len(utf8Bytes)+2)
		units = append(units, '"')
		for rest := utf8Bytes; len(rest) > 0; {
			r, width := utf8.DecodeRune(rest)
			units = utf16.AppendRune(units, r)
			rest = rest[width:]
		}
		units = append(units, '"')
		if len(units)-2 > maxPasswordUnits {
			fault = &writeback.Error{Reason: writeback.PasswordTooLong, Detail: writeback.Detail{MaxLength: maxPasswordUnits}}
		} else {
			encoded = make([]byte, 0, 2*len(units))
			for _, unit := range units {
				encoded = binary.LittleEndian.AppendUint16(encoded, unit)
			}
		}
		clear(units)
	})
	return encoded, fault
}

func checkPassword(b []byte) error {
	if len(b) == 0 || !utf8.Valid(b) {
		return writeback.NewError(writeback.PasswordInvalidCharacters, errors.New("empty or not UTF-8"))
	}
	for _, c := range b {
		if c == 0 || c == '\r' || c == '\n' {
			return writeback.NewError(writeback.PasswordInvalidCharacters, errors.New("NUL, CR or LF in the password"))
		}
	}
	return nil
}
