// Package store keeps queues in a directory: one file each, to which records are only ever appended.
//
// A file starts with eight bytes that name its format. Then come frames:
//
//	length   4 bytes, big endian: of kind and body together, at least 1
//	checksum 4 bytes, big endian: CRC-32C (Castagnoli) of kind and body
//	kind     1 byte: a definition ('D'), which replaces those before it, or a record ('R')
//	body     what its owner wrote
//
// A frame is there as a whole or not at all: whoever writes two things that belong together puts them into one. When a
// write is cut short, by kill -9 or by a copy taken in the middle of it, the last frame is incomplete; opening the file
// cuts it off. A frame that is wrong with others behind it is no torn write but damage, and opening fails.
//
// Files only grow while they are open. Compact, meant for the moment after opening, writes what is still of use into a new
// file and puts it in the place of the old one.
package store
