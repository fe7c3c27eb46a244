// Package app joins the rooms into a running agent: configuration in, an [Agent] that serves out. It holds the adapters
// between rooms that do not know one another, and no decisions of its own about requests.
//
//	load.go         the configuration and what it names, judged by every room that will use it
//	app.go, run.go  opening, running, stopping, closing
//	envelope.go, directory.go, rules.go, keys.go, secrets.go   from configuration to parts
//	recorder.go, conditions.go, report.go                      from parts to what status shows
package app
