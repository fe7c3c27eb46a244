//go:build !windows

package config

import "os/user"

// groupProblem says what is wrong with the name of a group; empty: nothing, or no group asked for.
func groupProblem(name string) string {
	if name == "" {
		return ""
	}
	if _, err := user.LookupGroup(name); err != nil {
		return "there is no such group on this host"
	}
	return ""
}
