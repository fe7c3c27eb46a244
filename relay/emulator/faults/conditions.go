package faults

import (
	"fmt"
	"slices"
	"strings"
)

// conditions are the error conditions that may be named without the domain in front of them: those by which clients of
// Service Bus decide whether they try again, rebuild the link, rebuild the connection, or give up.
var conditions = []string{
	// try again
	"com.microsoft:server-busy", "com.microsoft:timeout", "com.microsoft:operation-cancelled",
	// rebuild the link
	"amqp:link:detach-forced", "amqp:link:transfer-limit-exceeded",
	// rebuild the connection
	"amqp:connection:forced", "amqp:internal-error",
	// give up
	"amqp:not-found", "amqp:not-allowed", "amqp:unauthorized-access", "amqp:resource-limit-exceeded",
	"amqp:link:message-size-exceeded", "com.microsoft:entity-disabled", "com.microsoft:session-cannot-be-locked",
	"com.microsoft:message-lock-lost", "com.microsoft:session-lock-lost",
}

// condition completes a short name. A name with a colon is taken as it is, so that conditions nobody has thought of
// can be tried.
func condition(name string) (string, error) {
	if strings.Contains(name, ":") {
		return name, checkText(name)
	}
	i := slices.IndexFunc(conditions, func(full string) bool { return short(full) == name })
	if i < 0 {
		return "", fmt.Errorf("no such condition; write it in full, or one of %s", strings.Join(shortConditions(), ", "))
	}
	return conditions[i], nil
}

// short is a condition without its domain.
func short(full string) string { return full[strings.LastIndex(full, ":")+1:] }

// shorten is the opposite of condition.
func shorten(full string) string {
	if slices.Contains(conditions, full) {
		return short(full)
	}
	return full
}

func shortConditions() []string {
	names := make([]string, 0, len(conditions))
	for _, full := range conditions {
		names = append(names, short(full))
	}
	return names
}
