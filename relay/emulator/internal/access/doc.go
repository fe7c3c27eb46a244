// Package access decides who may do what: shared access keys and their rights, the tokens signed with them, bearer
// tokens from an issuer outside and the rights granted to their holders, and the claims that a connection has gathered
// from its tokens.
package access
