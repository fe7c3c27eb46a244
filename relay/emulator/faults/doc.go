// Package faults makes an emulated Service Bus misbehave by rules: which operations of which queue are hit, when, and
// what happens to them. The rules are values (Rule), with a short text form for command lines (Parse):
//
//	op=settle,queue=writeback-requests,nth=3,drop=after
//	op=send,probability=0.1,refuse=server-busy
//	op=deliver,every=5,duplicate=1
//
// A Set of rules is switched on with emulator.Server.SetFaults(set.Fault) and off with SetFaults(nil), while the service
// runs. Where chance decides, it is seeded: the same operations in the same order meet the same faults.
package faults
