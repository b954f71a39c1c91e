// Package archtest holds no code: its test enforces which package may import which, as docs/architecture.md describes.
package archtest
