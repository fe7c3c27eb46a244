// Package passwords knows which passwords the administrator will not have: those made of banned words, and those known from data breaches. It
// reads both lists from files and looks at them again before each judgement, so that a new list counts without a restart.
//
// What a judgement needs a copy of the password for is zeroed when it ends. Errors never say which word was found.
//
// # When a list fails
//
// An agent does not start with a list that cannot be used. While it runs, the last good list of banned words stays in use when the file is gone
// or broken, for it is in memory. The breached passwords are on the disk only: while they cannot be searched no password is judged
// (agent.misconfigured), for nobody would know what was let through.
package passwords
