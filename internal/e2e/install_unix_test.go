//go:build !windows

package e2e_test

const executable = ""
