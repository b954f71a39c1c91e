package server

// readable is not known here.
func readable(any) bool { return false }
