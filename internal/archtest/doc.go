// Package archtest keeps the rules of docs/architecture.md by machine: who may import what, which library has which owner, what may not
// appear in the source at all. Its test runs every rule over the module; a breach fails with the place, the rule and the reason.
//
// The rules are the table in [Rules]. Two maps say how the repository is built, and change when it does:
//
//   - layers (layers.go): for each package, which packages of the module it may import. A package without an entry is a
//     breach too: a new room gets its place first.
//   - libraries (libraries.go): for each module from outside, the package that owns it.
//
// Everything works on parsed source, without building: files for every platform are read, so that a rule broken only on
// Windows is seen on Linux.
package archtest
