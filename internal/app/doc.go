// Package app joins the rooms into a running agent: configuration in, an [Agent] that serves out. It holds the adapters
// between rooms that do not know one another, and no decisions of its own about requests.
//
//	load.go                        the configuration and what it names, judged by every room that will use it
//	app.go, run.go                 opening, running, stopping, closing
//	envelope.go, directory.go, bind.go, rules.go, lists.go, secrets.go   from configuration to parts
//	keys.go, keys_describe.go      what this host knows about keys, for the agent and for the commands
//	keyring.go, keys_watch.go      the keys of a running agent, exchanged while it runs
//	snapshot.go                    a host, or a part of one, that was set back: no request until none can be served twice
//	disk.go                        the room for what the agent keeps
//	recorder.go, conditions.go, controllers.go, report.go   from parts to what status shows
//	check.go, check_*.go           what "writeback-agent check" looks at
package app
