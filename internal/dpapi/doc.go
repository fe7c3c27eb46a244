// Package dpapi keeps secrets in files that only one Windows machine can read: the content is encrypted with the machine's key (DPAPI,
// CryptProtectData with CRYPTPROTECT_LOCAL_MACHINE), and the file has an access list of its own from its first moment on.
//
// Administrators write such files and the agent's service, which is another account, reads them. That is why the machine's key is used
// and not an account's: a copy of the file is of no use elsewhere, and on the machine itself the access list decides who may read.
//
// A protected file is text: a header, and the base64 of what CryptProtectData returned. The header tells it from a plain one, so that the
// same setting may name either. On other systems, where it is not [Available], everything but [IsProtected] fails, with
// [ErrNotWindows].
package dpapi
