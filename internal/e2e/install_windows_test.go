package e2e_test

const executable = ".exe"
