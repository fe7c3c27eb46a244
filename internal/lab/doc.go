// Package lab puts a whole writeback installation on one machine: a Service Bus namespace and a directory in this process,
// the real agent as a child process, and a portal that sends it requests.
//
// [Demo] plays a fixed set of requests, prints what the portal sees of each, and proves in the directory what became of
// them. [Serve] only provides the surroundings and leaves the agent and the requests to whoever tries them.
//
// The parts can be had one by one, which is what the end-to-end tests do with a real domain controller in the directory's
// place:
//
//	namespace.go   the queues, over TCP on loopback, with one key for each side and no right too many
//	directory.go   the fake directory and its people; every person has a password of random characters
//	site.go        the folder of one agent: configuration, secret files, certificates, keys
//	agent.go       the agent's process: start, ask, stop, kill
//	portal.go      the portal: relay/requester, and tokens made by hand that no honest portal would send
//	scenes.go      the requests of the demonstration, and how each has to end
//
// It links the emulator and the fake directory: only cmd/writeback-lab and tests may import it.
package lab
