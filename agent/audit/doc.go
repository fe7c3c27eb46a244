// Package audit is the record of what the agent meant to do and did: one JSON line per event, each bound to the line
// before it by a hash, each on the disk before anybody acts on it.
//
// # Format
//
// A directory holds files named audit-<sequence of the first line>.jsonl. A line is
//
//	{"v":1,"seq":17,"prev":"<hash of line 16>","time":"…","kind":"intent",…,"hash":"<hash of this line>"}
//
// and hash is the SHA-256, in lower-case hex, of the bytes of the line without its last member: of everything before
// `,"hash"`, followed by `}`. The prev of line 1 is 64 zeros. A full file is followed by the next one and the chain goes
// on across them. The file "head" repeats sequence and hash of the last line, so that lines missing at the end are noticed.
//
// # What the chain proves, and what not
//
// [Verify] finds a changed, removed, inserted, reordered or cut-off line and names it. Whoever may write the directory can
// forge the whole chain from some line on; against that, compare [Position] with a copy of it kept elsewhere.
//
// # Crashes
//
// A crash in the middle of a write leaves an unfinished line, which nobody was told about. [Open] moves it to a file of its
// own (torn-<sequence>.txt), cuts the log after the last whole line and records that as an event ([KindRecovered]). When
// a whole line is damaged, or one that was acknowledged is missing, Open refuses to go on.
//
// No secret is ever recorded. Names are: the audit stays on the host.
package audit
