package guard

import (
	"bytes"
	"unicode/utf8"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
)

// MaxPassword is the longest password Windows takes, in UTF-16 units: SAMPR_USER_PASSWORD holds 512 bytes of cleartext
// (MS-SAMR 2.2.6.21).
const MaxPassword = 256

// CheckPassword judges whether the password can be written at all; whether it is good enough is for the directory to say.
// The password is neither trimmed nor normalised: it is written as it was typed. Operations that set none are not judged.
// Reasons: password.invalid_characters, password.too_long, password.old_incorrect.
func (g *Guard) CheckPassword(request *writeback.Request) error {
	if !request.Operation.SetsPassword() {
		return nil
	}
	if err := judge(request.Password); err != nil {
		return err
	}
	if request.Operation == writeback.OpChange && judge(request.OldPassword) != nil {
		// No account can have such a password, and the encoding for the directory would change it.
		return refusal(writeback.PasswordOldIncorrect, "the old password is empty or cannot be a password")
	}
	return nil
}

// judge says what is wrong with a password without saying what it is.
func judge(password secret.Value) error {
	var err *writeback.Error
	password.Use(func(b []byte) { err = judgeBytes(b) })
	if err == nil {
		return nil // not a typed nil
	}
	return err
}

func judgeBytes(b []byte) *writeback.Error {
	switch {
	case len(b) == 0:
		return refusal(writeback.PasswordInvalidCharacters, "the password is empty")
	case !utf8.Valid(b): // encoded surrogates are not valid either
		return refusal(writeback.PasswordInvalidCharacters, "the password is not valid UTF-8")
	case bytes.ContainsAny(b, "\x00\r\n"):
		return refusal(writeback.PasswordInvalidCharacters, "the password contains NUL, carriage return or line feed")
	}
	if units := utf16Units(b); units > MaxPassword {
		err := refusal(writeback.PasswordTooLong, "the password has more than %d UTF-16 units", MaxPassword)
		err.Detail.MaxLength = MaxPassword
		return err
	}
	return nil
}

// utf16Units counts without making a copy that would have to be wiped.
func utf16Units(b []byte) int {
	units := 0
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		if units++; r > 0xFFFF {
			units++ // a surrogate pair
		}
		b = b[size:]
	}
	return units
}
