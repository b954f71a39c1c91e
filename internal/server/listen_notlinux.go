//go:build !linux

package server

import "errors"

// refuseNew cannot be had here: connections come until the listener closes.
func refuseNew(any) error { return errors.ErrUnsupported }
