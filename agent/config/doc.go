// Package config reads the agent's configuration file, strictly: every fault is found in one run and named with its field,
// its line and what to do about it, so that an administrator corrects the file once and not once per fault.
//
// [Load] goes through four steps: the YAML syntax (the only step that ends at its first fault), the shape (unknown and
// repeated keys, wrong types), the meaning of each value, and the files the values name. What a key file holds is not judged
// here but by relay/envelope, which owns the key formats.
//
// Secrets never stand in the configuration, only the names of the files that hold them. Since people nevertheless put a secret
// where its file's name belongs, the value of such a field is never repeated in a fault.
package config
