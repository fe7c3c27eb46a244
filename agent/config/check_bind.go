package config

import (
	"strings"

	"github.com/password-writeback/writeback/internal/writeback"
)

// bind checks the account. A user without a password would be an unauthenticated bind (RFC 4513 5.1.2), which succeeds and
// grants nothing: so neither may be empty.
func (c checker) bind(path string, bind *Bind) {
	user, method := member(path, "user"), member(path, "method")
	switch {
	case bind.User == "":
		c.missing(user, "Write the delegated account, for example svc-writeback@corp.example.com.")
	case strings.ContainsFunc(bind.User, func(r rune) bool { return r < ' ' || r == 0x7f }):
		c.add(user, "holds control characters", "Write it as name@domain, DOMAIN\\name or distinguished name; in double quotes, YAML reads \\ as the start of an escape.")
	case !namesOneAccount(bind.User):
		c.add(user, "holds no domain", "Write it as name@domain, DOMAIN\\name or distinguished name: by a name alone the agent would not know its own account, which it never touches.")
	}
	oneOf(c, method, bind.Method, BindSimple, BindKerberos, BindService)
	if bind.Method == BindService && !serviceIdentity {
		c.add(method, "works on Windows only", "Use method kerberos with a keytab, or simple with a password.")
	}
	c.proof(path, bind)
}

// namesOneAccount reports whether a bind user is more than a name that may mean several accounts. A bind takes a SID and a GUID as well.
func namesOneAccount(user string) bool {
	_, err := writeback.ParseGUID(user)
	return strings.ContainsAny(user, `@\=`) || strings.HasPrefix(user, "S-1-") || err == nil
}

// proof checks what the account proves itself with: just the files that its method needs.
func (c checker) proof(path string, bind *Bind) {
	password, keytab, conf := member(path, "password_file"), member(path, "keytab_file"), member(path, "krb5_conf_file")
	switch bind.Method {
	case BindSimple:
		c.secretFile(password, &bind.PasswordFile)
	case BindKerberos:
		c.keytabFile(keytab, &bind.KeytabFile)
		if bind.Krb5ConfFile != "" {
			c.resolve(&bind.Krb5ConfFile)
			_, err := ReadKrb5Conf(bind.Krb5ConfFile)
			c.file(conf, bind.Krb5ConfFile, "the krb5.conf", err)
		}
	}
	c.unused(password, bind.PasswordFile, bind.Method != BindSimple)
	c.unused(keytab, bind.KeytabFile, bind.Method != BindKerberos)
	c.unused(conf, bind.Krb5ConfFile, bind.Method != BindKerberos)
}

// unused reports a file that the method of the bind does not read: whoever wrote it meant another method.
func (c checker) unused(path, file string, without bool) {
	if without && file != "" {
		c.add(path, "is not used with this bind method", "Remove the line, or set bind.method: simple for a password, kerberos for a keytab.")
	}
}
