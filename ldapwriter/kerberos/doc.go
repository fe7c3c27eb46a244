// Package kerberos logs on to domain controllers by Kerberos: with a keytab (RFC 4120, SASL GSSAPI of RFC 4752), or on Windows
// with the identity of the service (SSPI).
//
// # Channel binding
//
// Every context carries the tls-server-end-point binding of the connection it is for (RFC 5929 4.1), because controllers with
// LdapEnforceChannelBinding=2, and Samba since 4.21 by default, refuse a context without it. No security layer is negotiated: TLS is
// one, and Active Directory refuses two. The controller has to prove that it knows the ticket's key (mutual authentication).
//
// # What is used of the library
//
// Messages, types and cryptography of gokrb5, whose last release is from 2023. Its client is not used: that one tries several KDCs and
// encryption types by itself, so a wrong password may count more than once, it takes no context, and it keeps goroutines. Here an
// exchange is one connection to one KDC over TCP, and a password or keytab is tried once. Nor is its reader of keytabs used, whose
// errors show the keys. What panics in the library is an error here.
//
// # What an answer proves
//
// A KRB-ERROR is not authenticated: whoever is in the network can forge one. Only a reply that the account's own key decrypts proves that
// the password is right.
package kerberos
