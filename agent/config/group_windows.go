package config

// groupProblem says what is wrong with the name of a group.
func groupProblem(name string) string {
	if name != "" {
		return "groups of the socket are not supported on Windows"
	}
	return ""
}
