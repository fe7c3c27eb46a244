// Package app joins the rooms into a running agent: configuration in, a [Agent] that serves out. It holds the adapters
// between rooms that do not know one another, and no decisions of its own.
package app
