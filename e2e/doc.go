// Package e2e runs the real binary as its users do. Each script in testdata reads like a page of a manual for one
// command or one promise; script_test.go says which words the scripts may use beside testscript's own.
package e2e
